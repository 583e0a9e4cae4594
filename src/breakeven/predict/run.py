"""A predicted curve as a run: what compare, cost, report and mix accept, with the mark that nobody measured it."""

from typing import Final, Literal

from msgspec import Struct

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from breakeven.predict.calibrations import Chosen
from breakeven.predict.closed import Closed, predict_closed

Figure = Literal["ttft_s", "tpot_s", "output_tok_per_s"]
FIGURES: Final[tuple[Figure, ...]] = ("ttft_s", "tpot_s", "output_tok_per_s")
WIDER: Final = 1.959964 / 1.644854
"""On the log scale a 95 % interval is so much wider than one of 90 %, where errors are log-normal."""
TIER_SAYS: Final = {
    "same": "this model on this card and engine",
    "card": "this engine on this card with other models",
    "engine": "this engine on other cards",
    "none": "other engines and cards",
}
BOUND_SAYS: Final = {
    "bandwidth": "the memory's bandwidth",
    "compute": "products",
    "kv": "room for contexts",
    "queue": "prompts in line",
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


def predicted_run(wanted: Wanted, chosen: Chosen, *, started: str | None = None) -> RunSummary:
    """Throughput, TTFT, TPOT and E2E at each number of users; 95 % intervals from held-out errors of the same kind.

    UsageError where not one context fits on the cards.
    """
    closed = [(users, _closed(wanted, chosen, users)) for users in wanted.users]
    found = chosen.calibration
    return RunSummary(
        run=RunFacts(
            id=f"predicted-{wanted.model.key}-{wanted.gpu.key}" + (f"-x{wanted.cards}" if wanted.cards > 1 else ""),
            started=started,
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
        levels=tuple(_level(wanted, chosen, users, one) for users, one in closed),
    )


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


def _level(wanted: Wanted, chosen: Chosen, users: int, closed: Closed) -> LevelSummary:
    factor = {name: chosen.factor(name, bound=closed.bound, users=users) for name in FIGURES}
    answers = closed.output_tok_per_s / wanted.output_tokens
    e2e_s = closed.ttft_s + (wanted.output_tokens - 1) * closed.tpot_s
    slower = [one for one in (factor["ttft_s"], factor["tpot_s"]) if one is not None]
    return LevelSummary(
        users=users,
        status="done",
        output_tok_per_s=_estimate(closed.output_tok_per_s, factor["output_tok_per_s"]),
        total_tok_per_s=_estimate(answers * (wanted.input_tokens + wanted.output_tokens), factor["output_tok_per_s"]),
        req_per_s=_estimate(answers, factor["output_tok_per_s"]),
        distributions={
            "ttft_s": _distribution(closed.ttft_s, factor["ttft_s"]),
            "tpot_s": _distribution(closed.tpot_s, factor["tpot_s"]),
            "tok_per_s_per_user": _distribution(1 / closed.tpot_s, factor["tpot_s"]),
            "e2e_s": _distribution(e2e_s, max(slower) if len(slower) == 2 else None),
        },
        cautions=(
            Caution(
                id="predicted",
                seen="predicted, not measured: from {points} measurements of {of}, held back by {bound}",
                advice="measure it before you decide: breakeven run --url URL --users {users}",
                values={
                    "points": chosen.calibration.points,
                    "of": TIER_SAYS[chosen.tier],
                    "bound": BOUND_SAYS[closed.bound],
                    "users": users,
                },
            ),
        ),
    )


def _ends(value: float, factor: float | None) -> tuple[float | None, float | None]:
    return (None, None) if factor is None else (value / factor**WIDER, value * factor**WIDER)


def _estimate(value: float, factor: float | None) -> Estimate:
    return Estimate(value=value, ci95=_ends(value, factor))


def _distribution(value: float, factor: float | None) -> Distribution:
    """The middle of a distribution; how far single answers are from it is not predicted."""
    return Distribution(mean=value, p50=Quantile(value=value, ci95=_ends(value, factor)))
