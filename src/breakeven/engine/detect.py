"""Which engine a URL leads to, by what it says of itself."""

from typing import cast

from breakeven.engine import ENGINES
from breakeven.engine.base import OpenAI
from breakeven.registry import load


def engine_of(models_reply: object) -> str | None:
    """Row of ENGINES for a list of models, bare or in `data`, by the owner that it names; None where none is known."""
    data = models_reply.get("data") if isinstance(models_reply, dict) else models_reply
    first = data[0] if isinstance(data, list) and data else None
    owner = first.get("owned_by") if isinstance(first, dict) else None
    if not isinstance(owner, str):
        return None
    return next((name for name in ENGINES if adapter(name).owned_by == owner), None)


def adapter(name: str) -> type[OpenAI]:
    """The adapter of a row of ENGINES; UsageError names the nearest known name."""
    return cast("type[OpenAI]", load("engine", ENGINES, name))
