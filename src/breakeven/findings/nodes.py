"""What rented machines mean in money, many at once: each is a set of one that pays its rent by the hour."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.cost.inputs import Deployment, Scenario
from breakeven.cost.model import work_out
from breakeven.metrics.summary import Estimate

Figures = NDArray[np.float64]

FIGURES: Final = ("usd_per_mtok_output", "tok_per_j")
"""Rows of cost/figures.py."""


class NodeMoney(NamedTuple):
    """One value a machine; NaN where it has none."""

    usd_per_mtok_output: Figures
    tok_per_j: Figures


def node_money(*, usd_per_h: Figures, tok_per_s: Figures, power_w: Figures) -> NodeMoney:
    """Cost and energy of the output of machines by what each rents for, gives and draws; NaN where one is not known."""
    given: dict[str, Any] = {"rent_usd_per_h": usd_per_h, "tok_per_s": tok_per_s, "power_load_w": power_w, "count": 1.0}
    columns = {f"candidate.{name}": np.atleast_1d(np.asarray(value, dtype=float)) for name, value in given.items()}
    scenario = Scenario(name="nodes", candidate=Deployment(pays="rent", rent_usd_per_h=0.0))
    worked = work_out(scenario, columns, wanted=set(FIGURES)).candidate.values
    return NodeMoney(*(_finite(worked[name], len(usd_per_h)) for name in FIGURES))


def output_cost(speed: Estimate, *, usd_per_h: float) -> Estimate:
    """USD per million output tokens of one machine at a speed and its ends; open where the speed is."""
    given = np.array([speed.value, *reversed(speed.ci95)], dtype=float)
    money = node_money(usd_per_h=np.full(3, usd_per_h), tok_per_s=given, power_w=np.full(3, np.nan))
    value, low, high = (None if np.isnan(one) else float(one) for one in money.usd_per_mtok_output)
    return Estimate(value=value, ci95=(low, high))


def _finite(values: Figures, count: int) -> Figures:
    whole = np.broadcast_to(values, (count,))
    return np.where(np.isfinite(whole), whole, np.nan)
