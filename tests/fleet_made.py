"""Fleets made for tests: jobs of some nodes with speeds and figures that the test says."""

from collections.abc import Mapping
from typing import Any

from breakeven.fleet.rows import Rows, make_rows

USERS = (1, 10, 100)
RATES = {1: 50.0, 10: 400.0, 100: 2000.0}


def job(number: int, node: str | None, factor: float = 1.0, **more: Any) -> dict[str, Any]:
    """One job of a node whose speed is `factor` times the usual; `more` overrules texts, figures and levels."""
    levels = {n: {"output_tok_per_s": rate * factor, "done": 100, "failed": 0} for n, rate in RATES.items()}
    usual = {"market": "rtx4090", "gpu": "rtx4090", "card_name": "NVIDIA GeForce RTX 4090", "template": "t"}
    usual |= {"model": "llama-8b", "counted": "tokens", "outcome": "done"}
    return {**usual, "id": f"job{number}", "digest": number, "node": node, "levels": levels, **more}


def fleet(speeds: Mapping[str, Any], **more: Mapping[str, Any]) -> Rows:
    """Jobs with these factors of speed by node; `more` has what is else to be said of all jobs of a node."""
    told = [(node, factor) for node, factors in speeds.items() for factor in factors]
    return make_rows([job(i, node, factor, **more.get(node, {})) for i, (node, factor) in enumerate(told)], users=USERS)
