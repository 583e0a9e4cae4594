"""Compare measured runs: one reference, any number of candidates, the three figures of each pair."""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from breakeven.compare.capacity import NO_FLOOR
from breakeven.compare.differences import engine_comparison, engine_name, same_unit, warnings
from breakeven.compare.figures import k_at_slo, k_same_load, ratio_equal_users
from breakeven.compare.pool import Pooled, PooledLevel, are_open, pool
from breakeven.compare.rates import verdicts_of
from breakeven.compare.scope import side_scope
from breakeven.compare.side import Side, side_of
from breakeven.compare.types import Comparison, LevelRow, LevelSide, Role, Scope, ScopeName, SideScope
from breakeven.errors import UsageError, one_line
from breakeven.metrics.goodput import Verdict
from breakeven.metrics.pooling import Measured
from breakeven.metrics.slo import ServiceLevel, Slo, limited, service_levels
from breakeven.metrics.summary import Estimate, RunSummary

_ROUND: Final = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_SHARES: Final = (1 / 6, 1 / 2, 5 / 6)


def compare_runs(
    reference: RunSummary,
    candidates: Sequence[RunSummary],
    *,
    floors: Sequence[float] = (),
    slo: Slo | None = None,
    users: Sequence[float] = (),
    scope: ScopeName = "machines",
    between_node_sd_log: float | None = None,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Hold each candidate (B) against the reference (A): k at each service level, same-load k, equal-users ratio.

    `floors` are tok/s per user; without floors and SLO, three round ones that all runs can give are chosen. `users`
    are the loads of the two other figures; without them, the levels that both have measured. With scope `gpu_type`
    each draw moves a whole run by a node effect of `between_node_sd_log`; not given it is 0.05, and none for medians
    whose intervals are over nodes. UsageError where a run has nothing to compare, where units differ, or where a floor
    or a load is no number above 0.
    """
    if not candidates:
        raise UsageError("compare: give a reference and at least one candidate")
    a = _side_of(reference, role="A", seed=(seed, 0), scope=scope, node_sd_log=between_node_sd_log)
    sides = [
        _side_of(run, role="B", seed=(seed, i), scope=scope, node_sd_log=between_node_sd_log)
        for i, run in enumerate(candidates, 1)
    ]
    levels = service_levels(floors=floors, slo=slo)
    if are_open([reference, *candidates]):
        _check_open(a.side.run_id, floors=floors, slo=slo, users=users)
    common = levels or _default_levels(a.side, *(b.side for b in sides))
    return tuple(_compare(a, b, common or _default_levels(a.side, b.side), users=users) for b in sides)


def _check_open(run_id: str, *, floors: Sequence[float], slo: Slo | None, users: Sequence[float]) -> None:
    """What can be asked of open loops: the highest rate that meets an SLO."""
    name = one_line(run_id, limit=80)
    if floors or slo is None:
        raise UsageError(f"{name}: {NO_FLOOR}")
    if users:
        raise UsageError(f"--at-users: {name} is an open loop, which has no number of users; leave it out")


class _Scoped(NamedTuple):
    """A side, with what it stands for."""

    side: Side
    scope: SideScope


def _side_of(
    run: RunSummary, *, role: Role, seed: tuple[int, int], scope: ScopeName, node_sd_log: float | None
) -> _Scoped:
    pooled = pool(run)
    stands_for = side_scope(pooled, wanted=scope, node_sd_log=node_sd_log)
    return _Scoped(side_of(pooled, role=role, seed=seed, node_sd_log=stands_for.node_sd_log or 0.0), stands_for)


def _compare(
    reference: _Scoped, candidate: _Scoped, levels: Sequence[ServiceLevel], *, users: Sequence[float]
) -> Comparison:
    a, b = reference.side, candidate.side
    unit = same_unit(a.pooled, b.pooled)
    loads = () if a.is_open else _loads(a, b, users)
    return Comparison(
        reference_id=a.run_id,
        candidate_id=b.run_id,
        reference_label=_label(a.pooled),
        candidate_label=_label(b.pooled),
        unit=unit,
        scope=Scope(reference=reference.scope, candidate=candidate.scope),
        levels=_rows(a, b, slo=next((level.slo for level in levels), None)),
        k_at_slo=tuple(k_at_slo(a, b, level, unit=unit) for level in levels),
        k_same_load=tuple(k_same_load(a, b, u) for u in loads),
        ratio_equal_users=tuple(ratio_equal_users(a, b, u) for u in loads),
        warnings=warnings(a.pooled, b.pooled),
        engine_comparison=engine_comparison(a.pooled, b.pooled),
    )


def _loads(a: Side, b: Side, users: Sequence[float]) -> tuple[float, ...]:
    for u in users:
        if not (math.isfinite(u) and u > 0):
            raise UsageError(f"--at-users: {u:g} is no number of users; give numbers above 0, such as 10,50,100")
    return tuple(sorted(set(users))) or tuple(float(u) for u in a.users if u in b.users)


def _default_levels(*sides: Side) -> tuple[ServiceLevel, ...]:
    """Three round floors where every side goes from meeting to missing; empty where there is no such speed."""
    speeds = [side.curve[0] / side.users for side in sides]
    low, high = max(float(one[-1]) for one in speeds), min(float(one[0]) for one in speeds)
    if low >= high:
        slowest = min(speeds, key=lambda one: float(one[0]))
        low, high = float(slowest[-1]), float(slowest[0])
    floors = {_round_between(low, high, share) for share in _SHARES}
    return service_levels(floors=sorted(floors), slo=None)


def _round_between(low: float, high: float, share: float) -> float:
    """The round number nearest (in ratio) to a share of the way; where none is between, three digits of it."""
    wanted = low * (high / low) ** share
    power = 10.0 ** math.floor(math.log10(wanted))
    inside = [digit * power for digit in _ROUND if low < digit * power < high]
    if not inside:
        return float(f"{wanted:.3g}")
    return float(f"{min(inside, key=lambda floor: abs(math.log(floor / wanted))):.6g}")


def _label(pooled: Pooled) -> str:
    """Machine, engine and model of a run in one short line; what is not known is left out."""
    facts = pooled.run.run
    version = facts.engine.get("version")
    engine = " ".join(filter(None, (engine_name(pooled), None if version is None else str(version))))
    parts = (_machine(facts.host), engine, facts.model, "predicted" if facts.kind == "predicted" else None)
    return ", ".join(one_line(str(part), limit=60) for part in parts if part)


def _machine(host: dict[str, Any]) -> str | None:
    gpus = host.get("gpus")
    first = gpus[0] if isinstance(gpus, list | tuple) and gpus else host.get("gpu") or host.get("cpu")
    name = first.get("name") if isinstance(first, dict) else first
    return None if name is None else str(name)


def _rows(a: Side, b: Side, *, slo: Slo | None) -> tuple[LevelRow, ...]:
    of_a, of_b = ({level.load: level for level in side.pooled.levels} for side in (a, b))
    judged_a, judged_b = (_verdicts(side, slo) for side in (a, b))
    return tuple(
        LevelRow(
            users=None if a.is_open else int(load),
            req_per_s=load if a.is_open else None,
            reference=_side(of_a.get(load), judged_a.get(load)),
            candidate=_side(of_b.get(load), judged_b.get(load)),
        )
        for load in sorted({*of_a, *of_b})
    )


def _verdicts(side: Side, slo: Slo | None) -> dict[float, Verdict]:
    """Of an open loop, by rate."""
    if not side.is_open or slo is None:
        return {}
    return dict(zip(map(float, side.users), verdicts_of(side, slo), strict=True))


def _side(level: PooledLevel | None, verdict: Verdict | None) -> LevelSide | None:
    if level is None:
        return None
    tput = level.figures["output_tok_per_s"]
    return LevelSide(
        repeats=level.repeats,
        output_tok_per_s=tput.estimate(),
        output_tok_per_s_per_user=Estimate() if level.users is None else _per_user(tput, level.users),
        latency_s={name: level.figures[name].value for name in limited()},
        verdict=verdict,
    )


def _per_user(tput: Measured, users: int) -> Estimate:
    low, high = (None if end is None else end / users for end in tput.ci95)
    return Estimate(value=None if tput.value is None else tput.value / users, ci95=(low, high))
