"""A predicted curve as a run: what compare, cost, report and mix accept, with the mark that nobody measured it."""

import functools
import math
from collections.abc import Mapping
from statistics import median
from types import MappingProxyType
from typing import Final

from msgspec.structs import asdict, replace

from breakeven.hardware import products_on
from breakeven.metrics.summary import LevelSummary, RunFacts, RunSummary
from breakeven.predict.calibrations import Chosen, Figure
from breakeven.predict.closed import Closed
from breakeven.predict.machine import Machine
from breakeven.predict.openloop import open_level
from breakeven.predict.own import levels
from breakeven.predict.requests import alike
from breakeven.predict.steptime import step_time
from breakeven.predict.tails import Ratios, Routed, ratios
from breakeven.predict.told import FIGURES, predicted_caution, summarised
from breakeven.predict.wanted import (
    Wanted,
    best_of,
    cache_of,
    caution_of,
    closed_of,
    factor_of,
    missed,
    unlike,
    unlimited,
)

NOTHING: Final[Mapping[int, LevelSummary]] = MappingProxyType({})
LONG_LINE: Final = 3
"""Users a place from which on more of them are simulated as so many: all wait longer alike, and what percentiles of
TTFT are above the median only shrinks."""


def predicted_run(wanted: Wanted, chosen: Chosen, *, known: Mapping[int, LevelSummary] = NOTHING) -> RunSummary:
    """Throughput, TTFT, TPOT and E2E at each load; 95 % intervals from held-out errors of the same kind.

    Levels of users that are `known` are not worked out again. UsageError where not one context fits on the cards.
    """
    closed = [(users, _closed(wanted, chosen, users)) for users in wanted.users]
    opened = [(rate, open_level(wanted, chosen, rate)) for rate in wanted.rates]
    bounds = [(f"{users}", one.bound) for users, one in closed]
    bounds += [(f"{rate:g}", one.bound) for rate, one in opened]
    rates = {"rate": list(wanted.rates), "arrivals": wanted.arrivals} if wanted.rates else {}
    found = chosen.calibration
    return RunSummary(
        run=RunFacts(
            id=_run_id(wanted),
            host={"gpu": wanted.gpu.name, "gpu_count": wanted.cards * wanted.replicas},
            engine={"name": wanted.engine} | ({"version": found.version} if found.version and found.engine else {}),
            model=wanted.model.name,
            workload=wanted.requests.workload,
            settings={
                "unit": "tokens",
                **({"users": list(wanted.users)} if wanted.users else rates),
                "predicted": {
                    "nearest": chosen.tier,
                    "precision": wanted.model.precision,
                    "products": products_on(wanted.gpu, wanted.model.kept.products),
                    **({"asked_precision": wanted.asked_precision} if wanted.asked_precision else {}),
                    "kv_bits": wanted.model.kv_bits,
                    **({"max_batch": wanted.max_batch} if wanted.max_batch else {}),
                    **({"replicas": wanted.replicas, "routing": wanted.routing} if wanted.replicas > 1 else {}),
                    "engine": found.engine or "all engines",
                    "gpu": found.gpu or "all cards",
                    "version": found.version,
                    "measured": found.measured,
                    "points": found.points,
                    "source": found.source,
                    "licence": found.licence,
                    "own": found.own,
                    **({"unlike": list(lacking)} if (lacking := unlike(wanted, chosen)) else {}),
                    **({"outside": asdict(found_out)} if (found_out := missed(wanted, chosen)) else {}),
                    **({"lacks_kernels": wanted.lacks_kernels} if wanted.lacks_kernels else {}),
                    "bounds": dict(bounds),
                },
            },
        ),
        levels=(
            *(known.get(users) or _level(wanted, chosen, users, one) for users, one in closed),
            *(one.level for _, one in opened),
        ),
    )


def _run_id(wanted: Wanted) -> str:
    cards = f"-x{wanted.cards}" if wanted.cards > 1 else ""
    replicas = f"-r{wanted.replicas}" if wanted.replicas > 1 else ""
    return f"predicted-{wanted.model.key}-{wanted.gpu.key}{cards}{replicas}"


def predicted_level(wanted: Wanted, chosen: Chosen, users: int) -> LevelSummary:
    """One of its levels."""
    return _level(wanted, chosen, users, _closed(wanted, chosen, users))


def _each(wanted: Wanted, users: int) -> float:
    """Users of a replica that has any."""
    return max(1.0, users / wanted.replicas)


def _closed(wanted: Wanted, chosen: Chosen, users: int) -> Closed:
    """What each sees where replicas have equal shares of the users, and the throughput of all replicas."""
    return _of_all(closed_of(wanted, chosen, _each(wanted, users)), users / _each(wanted, users))


def _of_all(closed: Closed, replicas: float) -> Closed:
    return replace(closed, output_tok_per_s=closed.output_tok_per_s * replicas)


def machine_run(run: RunSummary, found: Machine, *, users: tuple[int, ...]) -> RunSummary:
    """Other loads of the machine that a run was measured on, with its engine, model and lengths of requests."""
    seen = levels(run)
    lengths = (round(median(one.input_tokens for one in seen)), round(median(one.output_tokens for one in seen)))
    closed = [(count, found.of(users=count, input_tokens=lengths[0], output_tokens=lengths[1])) for count in users]

    def factor(count: int, figure: Figure) -> float:
        return found.factor(figure, users=count, input_tokens=lengths[0], output_tokens=lengths[1])

    about = {
        "nearest": "same",
        "engine": run.run.engine.get("name"),
        "gpu": "this machine",
        "measured": (run.run.started or "")[:7],
        "points": len(seen),
        "source": run.run.id,
        "own": True,
        "bounds": {str(count): "unknown" for count in users},
    }
    return RunSummary(
        run=RunFacts(
            id=f"predicted-{run.run.id}",
            host=run.run.host,
            engine={name: run.run.engine[name] for name in ("name", "version") if run.run.engine.get(name)},
            model=run.run.model,
            workload={"name": run.run.workload.get("name"), "input_tokens": lengths[0], "output_tokens": lengths[1]},
            settings={"unit": "tokens", "users": list(users), "predicted": about},
        ),
        levels=tuple(
            summarised(
                count,
                one,
                requests=alike(*lengths),
                factor={name: factor(count, name) for name in FIGURES},
                best=unlimited(one),
                tails=ratios(found.steps.step_s, one, alike(*lengths), users=count, kv_tokens=None),
                caution=predicted_caution("unknown", points=len(seen), tier="same", load=count),
            )
            for count, one in closed
        ),
    )


def _level(wanted: Wanted, chosen: Chosen, users: int, closed: Closed) -> LevelSummary:
    each = _each(wanted, users)
    return summarised(
        users,
        closed,
        requests=wanted.requests,
        factor={name: factor_of(wanted, chosen, name, bound=closed.bound, users=round(each)) for name in FIGURES},
        best=_of_all(best_of(wanted, each, closed), users / each),
        tails=_tails(*_as_simulated(wanted, chosen, users, closed)) if wanted.has_tails else {},
        caution=caution_of(wanted, chosen, closed.bound, load=users),
    )


def _as_simulated(wanted: Wanted, chosen: Chosen, users: int, closed: Closed) -> tuple[Wanted, Chosen]:
    """With the users that are simulated for so many."""
    most = math.ceil(LONG_LINE * closed.slots) * wanted.replicas
    return replace(wanted, users=(min(users, most),)), chosen


@functools.lru_cache(maxsize=64)
def _tails(wanted: Wanted, chosen: Chosen) -> Ratios:
    """Of its only number of users."""
    [users] = wanted.users
    return ratios(
        step_time(wanted.model, wanted.gpu, chosen.efficiency, tp=wanted.cards).step_s,
        closed_of(wanted, chosen, _each(wanted, users)),
        wanted.requests,
        users=users,
        kv_tokens=cache_of(wanted),
        max_batch=wanted.max_batch,
        behind=Routed(wanted.replicas, wanted.routing),
    )
