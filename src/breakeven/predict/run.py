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
from breakeven.predict.openloop import MOST_ARRIVALS, Served, open_level, served_by_cards
from breakeven.predict.own import levels
from breakeven.predict.requests import Requests, alike
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
    served = served_by_cards(wanted, chosen) if wanted.rates else None
    opened = [(rate, open_level(served, rate)) for rate in wanted.rates if served is not None]
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


def machine_run(
    run: RunSummary,
    found: Machine,
    *,
    users: tuple[int, ...] = (),
    rates: tuple[float, ...] = (),
    arrivals: str = "poisson",
) -> RunSummary:
    """Other loads of the machine that a run was measured on, with its engine, model and lengths of requests."""
    seen = levels(run)
    lengths = (round(median(one.input_tokens for one in seen)), round(median(one.output_tokens for one in seen)))
    served = _served_by(found, alike(*lengths), slots=_slots(run), points=len(seen), arrivals=arrivals)
    opened = [(rate, open_level(served, rate)) for rate in rates]
    bounds = {str(count): "unknown" for count in users} | {f"{rate:g}": _unknown(one.bound) for rate, one in opened}
    load = {"rate": list(rates), "arrivals": arrivals} if rates else {"users": list(users)}
    about = {
        "nearest": "same",
        "engine": run.run.engine.get("name"),
        "gpu": "this machine",
        "measured": (run.run.started or "")[:7],
        "points": len(seen),
        "source": run.run.id,
        "own": True,
        "bounds": bounds,
    }
    return RunSummary(
        run=RunFacts(
            id=f"predicted-{run.run.id}",
            host=run.run.host,
            engine={name: run.run.engine[name] for name in ("name", "version") if run.run.engine.get(name)},
            model=run.run.model,
            workload={"name": run.run.workload.get("name"), "input_tokens": lengths[0], "output_tokens": lengths[1]},
            settings={"unit": "tokens", **load, "predicted": about},
        ),
        levels=(
            *(_machine_level(found, served, count, points=len(seen)) for count in users),
            *(one.level for _, one in opened),
        ),
    )


def _slots(run: RunSummary) -> int:
    """Requests that the run's engine works on at once at most, as far as it was told."""
    told = run.run.engine.get("settings") or {}
    slots = told.get("slots", told.get("max_batch")) if isinstance(told, dict) else None
    return slots if isinstance(slots, int) and slots > 0 else MOST_ARRIVALS


def _served_by(found: Machine, requests: Requests, *, slots: int, points: int, arrivals: str) -> Served:
    """A machine that no table knows: nobody can say what it allows at most."""

    def factor(figure: Figure, _closed: Closed, users: float) -> float:
        asked = {"input_tokens": requests.input_tokens, "output_tokens": requests.output_tokens}
        return found.factor(figure, users=round(users), **asked)

    return Served(
        steps=found.steps,
        slots=slots,
        kv_tokens=None,
        requests=requests,
        request_s=found.request_s,
        prompts=found.waiting.prompts,
        factor=factor,
        best=lambda _users, closed: unlimited(closed),
        caution=lambda bound, rate: predicted_caution(
            _unknown(bound), points=points, tier="same", load=rate, option="rate"
        ),
        arrivals=arrivals,
    )


def _unknown(bound: str) -> str:
    """Of such a machine nobody knows whether it reads or multiplies, only that a queue grows."""
    return bound if bound == "queue" else "unknown"


def _machine_level(found: Machine, served: Served, users: int, *, points: int) -> LevelSummary:
    asked = served.requests
    closed = found.of(users=users, input_tokens=asked.input_tokens, output_tokens=asked.output_tokens)
    return summarised(
        users,
        closed,
        requests=asked,
        factor={name: served.factor(name, closed, users) for name in FIGURES},
        best=unlimited(closed),
        tails=ratios(found.steps.step_s, closed, asked, users=users, kv_tokens=None),
        caution=predicted_caution("unknown", points=points, tier="same", load=users),
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
