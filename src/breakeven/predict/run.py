"""A predicted curve as a run: what compare, cost, report and mix accept, with the mark that nobody measured it."""

import functools
import math
from collections.abc import Mapping
from statistics import median
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape
from breakeven.metrics.statistics import inverted, reciprocal
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from breakeven.predict.calibrations import Chosen, Tier
from breakeven.predict.closed import Closed, Waiting, closed_loop, predict_closed
from breakeven.predict.machine import Machine
from breakeven.predict.memory import kv_tokens, memory, sequences
from breakeven.predict.own import levels
from breakeven.predict.steptime import PERFECT, step_time
from breakeven.predict.tails import Ratios, Strayed, ratios, stray, wider

Figure = Literal["ttft_s", "tpot_s", "output_tok_per_s"]
FIGURES: Final[tuple[Figure, ...]] = ("ttft_s", "tpot_s", "output_tok_per_s")
NOTHING: Final[Mapping[int, LevelSummary]] = MappingProxyType({})
LONG_LINE: Final = 3
"""Users a place from which on more of them are simulated as so many: all wait longer alike, and what percentiles of
TTFT are above the median only shrinks."""
UNBOUNDED: Final = 1e6
"""So many times better than predicted is as good as without limit."""
WIDER: Final = 1.959964 / 1.644854
"""On the log scale a 95 % interval is so much wider than one of 90 %, where errors are log-normal."""
TIER_SAYS: Final = {
    "same": "this model on this card and engine",
    "card": "this engine on this card with other models",
    "engine": "this engine on other cards",
    "none": "other engines and cards",
    "kernels": "kernels on this card or its like, and this engine on other cards",
}
BOUND_SAYS: Final = {
    "bandwidth": "the memory's bandwidth",
    "compute": "products",
    "kv": "room for contexts",
    "queue": "prompts in line",
    "unknown": "nobody knows",
}


class Wanted(Struct, frozen=True, kw_only=True):
    """What a curve is to be of."""

    model: ModelShape
    gpu: Gpu
    cards: int
    """That serve together (tensor parallel)."""
    engine: str
    users: tuple[int, ...]
    input_tokens: int
    output_tokens: int
    has_tails: bool = True
    """p90, p95 and p99 are worked out too, on the simulated engine: some hundredths of a second a level."""


def predicted_run(wanted: Wanted, chosen: Chosen, *, known: Mapping[int, LevelSummary] = NOTHING) -> RunSummary:
    """Throughput, TTFT, TPOT and E2E at each number of users; 95 % intervals from held-out errors of the same kind.

    Levels that are `known` are not worked out again. UsageError where not one context fits on the cards.
    """
    closed = [(users, _closed(wanted, chosen, users)) for users in wanted.users]
    found = chosen.calibration
    return RunSummary(
        run=RunFacts(
            id=f"predicted-{wanted.model.key}-{wanted.gpu.key}" + (f"-x{wanted.cards}" if wanted.cards > 1 else ""),
            host={"gpu": wanted.gpu.name, "gpu_count": wanted.cards},
            engine={"name": wanted.engine} | ({"version": found.version} if found.version and found.engine else {}),
            model=wanted.model.name,
            workload={"name": "fixed", "input_tokens": wanted.input_tokens, "output_tokens": wanted.output_tokens},
            settings={
                "unit": "tokens",
                "users": list(wanted.users),
                "predicted": {
                    "nearest": chosen.tier,
                    "precision": wanted.model.precision,
                    "kv_bits": wanted.model.kv_bits,
                    "engine": found.engine or "all engines",
                    "gpu": found.gpu or "all cards",
                    "version": found.version,
                    "measured": found.measured,
                    "points": found.points,
                    "source": found.source,
                    "licence": found.licence,
                    "own": found.own,
                    "bounds": {str(users): one.bound for users, one in closed},
                },
            },
        ),
        levels=tuple(known.get(users) or _level(wanted, chosen, users, one) for users, one in closed),
    )


def predicted_level(wanted: Wanted, chosen: Chosen, users: int) -> LevelSummary:
    """One of its levels."""
    return _level(wanted, chosen, users, _closed(wanted, chosen, users))


def _closed(wanted: Wanted, chosen: Chosen, users: int) -> Closed:
    found = predict_closed(
        wanted.model,
        wanted.gpu,
        chosen.efficiency,
        chosen.waiting,
        tp=wanted.cards,
        users=users,
        input_tokens=wanted.input_tokens,
        output_tokens=wanted.output_tokens,
    )
    if found is None:
        raise UsageError(
            f"{wanted.model.name} in {wanted.model.precision} does not fit on {wanted.cards} x {wanted.gpu.name}; "
            f"`breakeven fit` shows what does"
        )
    return found


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
            _summary(
                count,
                one,
                lengths=lengths,
                factor={name: factor(count, name) for name in FIGURES},
                best=_unlimited(one),
                tails=ratios(
                    found.steps.step_s,
                    one,
                    lambda _user, _k: lengths,
                    users=count,
                    output_tokens=lengths[1],
                    kv_tokens=None,
                ),
                caution=_caution(count, "unknown", points=len(seen), tier="same"),
            )
            for count, one in closed
        ),
    )


def _level(wanted: Wanted, chosen: Chosen, users: int, closed: Closed) -> LevelSummary:
    return _summary(
        users,
        closed,
        lengths=(wanted.input_tokens, wanted.output_tokens),
        factor={name: chosen.factor(name, bound=closed.bound, users=users) for name in FIGURES},
        best=_best(wanted, users, closed),
        tails=_tails(*_as_simulated(wanted, chosen, users, closed)) if wanted.has_tails else {},
        caution=_caution(users, closed.bound, points=chosen.calibration.points, tier=chosen.tier),
    )


def _summary(
    users: int,
    closed: Closed,
    *,
    lengths: tuple[int, int],
    factor: Mapping[Figure, float | None],
    best: Closed,
    tails: Ratios,
    caution: Caution,
) -> LevelSummary:
    """A level as it is stored. `best` is what the hardware allows, at which intervals end."""
    input_tokens, output_tokens = lengths
    answers = closed.output_tok_per_s / output_tokens
    e2e_s = closed.ttft_s + (output_tokens - 1) * closed.tpot_s
    speed = (factor["output_tok_per_s"], best.output_tok_per_s / closed.output_tok_per_s)
    best_e2e_s = best.ttft_s + (output_tokens - 1) * best.tpot_s
    ttft = _time("ttft_s", closed.ttft_s, factor["ttft_s"], best.ttft_s, tails)
    tpot = _time("tpot_s", closed.tpot_s, factor["tpot_s"], best.tpot_s, tails)
    speeds = {"tpot_s": tpot, "tok_per_s_per_user": inverted(tpot, mean=reciprocal(closed.tpot_s))}
    return LevelSummary(
        users=users,
        status="done",
        output_tok_per_s=_rate(closed.output_tok_per_s, *speed),
        total_tok_per_s=_rate(answers * (input_tokens + output_tokens), *speed),
        req_per_s=_rate(answers, *speed),
        distributions={
            "ttft_s": ttft,
            **(speeds if output_tokens > 1 else {}),
            "e2e_s": _time("e2e_s", e2e_s, _of_both(closed, output_tokens, factor), best_e2e_s, tails),
        },
        cautions=(caution,),
    )


def _of_both(closed: Closed, output_tokens: float, factor: Mapping[Figure, float | None]) -> float | None:
    """Of E2E = TTFT + (output - 1) x TPOT where both are as long as they may be; None where nobody knows of one."""
    decode_s = (output_tokens - 1) * closed.tpot_s
    first, each = factor["ttft_s"], factor["tpot_s"]
    if first is None or each is None:
        return None
    return (closed.ttft_s * first + decode_s * each) / (closed.ttft_s + decode_s)


def _caution(users: int, bound: str, *, points: int, tier: Tier) -> Caution:
    return Caution(
        id="predicted",
        seen="predicted, not measured: from {points} measurements of {of}; held back by {bound}",
        advice="measure it before you decide: breakeven run --url URL --users {users}",
        values={"points": points, "of": TIER_SAYS[tier], "bound": BOUND_SAYS[bound], "users": users},
    )


def _unlimited(closed: Closed) -> Closed:
    """Where nobody knows what the hardware allows."""
    return replace(closed, ttft_s=0.0, tpot_s=closed.tpot_s / UNBOUNDED, output_tok_per_s=math.inf)


def _best(wanted: Wanted, users: int, closed: Closed) -> Closed:
    """What the hardware allows at most: the card as on paper, all of its memory, no user interrupted by a prompt.

    Nothing is said of models with experts, whose users take fewer of them than if they chose evenly. TTFT is that of a
    prompt alone; where users wait for a place TPOT is too, since an engine may serve fewer of them at once.
    """
    if wanted.model.experts:
        return _unlimited(closed)
    held = memory(wanted.model, wanted.gpu, tp=wanted.cards, usable=1.0)
    room = replace(held, kv_bytes=held.total_bytes - held.weight_bytes)
    steps = step_time(wanted.model, wanted.gpu, PERFECT, tp=wanted.cards)
    alone, together = (
        closed_loop(
            steps,
            users=count,
            input_tokens=wanted.input_tokens,
            output_tokens=wanted.output_tokens,
            slots=sequences(wanted.model, room, context_tokens=wanted.input_tokens + wanted.output_tokens / 2),
            waiting=Waiting(prompts=1, burst=0, interrupts=0),
            request_s=0.0,
        )
        for count in (1, users)
    )
    return replace(together, ttft_s=alone.ttft_s, tpot_s=(alone if closed.bound == "kv" else together).tpot_s)


def _rate(value: float, factor: float | None, most: float) -> Estimate:
    """`most`: times the value that the hardware allows."""
    if factor is None:
        return Estimate(value=value)
    return Estimate(value=value, ci95=(value / factor**WIDER, value * min(factor**WIDER, max(1.0, most))))


def _time(figure: Strayed, value: float, factor: float | None, least: float, tails: Ratios) -> Distribution:
    """A latency by its middle and how far single answers are from it; `least`: seconds that the hardware needs."""
    far: dict[str, Quantile] = {
        at: _ends(value * ratio * (found := stray(figure, at)).more, wider(factor, found.factor), least)
        for at, ratio in tails.get(figure, {}).items()
    }
    return replace(Distribution(mean=value, p50=_ends(value, factor, least)), **far)


def _ends(value: float, factor: float | None, least: float) -> Quantile:
    if factor is None:
        return Quantile(value=value, ci95=(None, None))
    return Quantile(value=value, ci95=(max(value / factor**WIDER, min(value, least)), value * factor**WIDER))


def _as_simulated(wanted: Wanted, chosen: Chosen, users: int, closed: Closed) -> tuple[Wanted, Chosen]:
    """With the users that are simulated for so many."""
    return replace(wanted, users=(min(users, math.ceil(LONG_LINE * closed.slots)),)), chosen


@functools.lru_cache(maxsize=64)
def _tails(wanted: Wanted, chosen: Chosen) -> Ratios:
    """Of its only number of users."""
    [users] = wanted.users
    lengths = (wanted.input_tokens, wanted.output_tokens)
    held = memory(wanted.model, wanted.gpu, tp=wanted.cards)
    return ratios(
        step_time(wanted.model, wanted.gpu, chosen.efficiency, tp=wanted.cards).step_s,
        _closed(wanted, chosen, users),
        lambda _user, _k: lengths,
        users=users,
        output_tokens=wanted.output_tokens,
        kv_tokens=max(sum(lengths), kv_tokens(wanted.model, held, context_tokens=sum(lengths))),
    )
