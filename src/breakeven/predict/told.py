"""A predicted level as it is stored: figures, intervals, percentiles, and the mark that nobody measured it."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.metrics.statistics import inverted, reciprocal
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile
from breakeven.predict.calibrations import Figure, Tier, Unlike
from breakeven.predict.closed import Closed
from breakeven.predict.coverage import Outside
from breakeven.predict.requests import Requests
from breakeven.predict.tails import PERCENTILES, Ratios, Strayed, stray, wider
from breakeven.say import share

FIGURES: Final[tuple[Figure, ...]] = ("ttft_s", "tpot_s", "output_tok_per_s")
WIDER: Final = 1.959964 / 1.644854
"""On the log scale a 95 % interval is so much wider than one of 90 %, where errors are log-normal."""
TIER_SAYS: Final = {
    "same": "this model on this card and engine",
    "card": "this engine on this card with other models",
    "engine": "this engine on other cards",
    "none": "other engines and cards",
    "kernels": "kernels on this card or its like, and this engine on other cards",
}
UNLIKE_SAYS: Final[Mapping[Unlike, str]] = {
    "engine": "no serving by this engine was measured: intervals are those of the engine that the others told worst",
    "architecture": "no serving was measured on its architecture: intervals are as wide as misses on such ones in 2024",
    "answers": "no answer as short as these was measured: intervals hold what a scheduler says of them too",
}
BOUND_SAYS: Final = {
    "bandwidth": "the memory's bandwidth",
    "compute": "products",
    "kv": "room for contexts",
    "queue": "prompts in line",
    "unknown": "nobody knows",
}


def summarised(
    users: int,
    closed: Closed,
    *,
    requests: Requests,
    factor: Mapping[Figure, float | None],
    best: Closed,
    tails: Ratios,
    caution: Caution,
) -> LevelSummary:
    """A level as it is stored. `best` is what the hardware allows, at which intervals end."""
    input_tokens, output_tokens = requests.input_tokens, requests.output_tokens
    slower = tails.get("e2e_s", {}).get("mean", 1.0)
    closed, best = (replace(one, output_tok_per_s=one.output_tok_per_s / slower) for one in (closed, best))
    answers = closed.output_tok_per_s / output_tokens
    e2e_s = closed.ttft_s + (output_tokens - 1) * closed.tpot_s
    speed = (factor["output_tok_per_s"], best.output_tok_per_s / closed.output_tok_per_s)
    best_e2e_s = best.ttft_s + (output_tokens - 1) * best.tpot_s
    ttft = _time("ttft_s", closed.ttft_s, factor["ttft_s"], best.ttft_s, tails)
    tpot = _time("tpot_s", closed.tpot_s, factor["tpot_s"], best.tpot_s, tails)
    speeds = {"tpot_s": tpot, "tok_per_s_per_user": inverted(tpot, mean=reciprocal(tpot.mean))}
    return LevelSummary(
        users=users,
        status="done",
        output_tok_per_s=_rate(closed.output_tok_per_s, *speed),
        total_tok_per_s=_rate(answers * (input_tokens + output_tokens), *speed),
        req_per_s=_rate(answers, *speed),
        distributions={
            "ttft_s": ttft,
            **(speeds if output_tokens > 1 else {}),
            "e2e_s": _time("e2e_s", e2e_s, of_both(closed, output_tokens, factor), best_e2e_s, tails),
        },
        cautions=(caution,),
    )


def of_both(closed: Closed, output_tokens: float, factor: Mapping[Figure, float | None]) -> float | None:
    """Of E2E = TTFT + (output - 1) x TPOT where both are as long as they may be; None where nobody knows of one."""
    decode_s = (output_tokens - 1) * closed.tpot_s
    first, each = factor["ttft_s"], factor["tpot_s"]
    if first is None or each is None:
        return None
    return (closed.ttft_s * first + decode_s * each) / (closed.ttft_s + decode_s)


def predicted_caution(
    bound: str,
    *,
    points: int,
    tier: Tier,
    load: float,
    option: Literal["users", "rate"] = "users",
    unlike: Iterable[Unlike] = (),
    missed: Outside | None = None,
) -> Caution:
    """That nobody measured a level; `option` is the one of `breakeven run` that asks for such a load."""
    of = [TIER_SAYS[tier], *map(UNLIKE_SAYS.__getitem__, unlike)]
    of += [] if missed is None else [outside_text(missed.points, missed.inside)]
    return Caution(
        id="predicted",
        seen="predicted, not measured: from {points} measurements of {of}; held back by {bound}",
        advice=f"measure it before you decide: breakeven run --url URL --{option} {{load:plain}}",
        values={"points": points, "of": "; ".join(of), "bound": BOUND_SAYS[bound], "load": load},
    )


def outside_text(points: float, inside: float) -> str:
    """That intervals told of a card did not hold where its own points were left out."""
    return (
        f"such an interval did not hold on this card: of its own {points:.0f} measurements, left out, {share(inside)} "
        "had their TPOT inside"
    )


def _rate(value: float, factor: float | None, most: float) -> Estimate:
    """`most`: times the value that the hardware allows."""
    if factor is None:
        return Estimate(value=value)
    return Estimate(value=value, ci95=(value / factor**WIDER, value * min(factor**WIDER, max(1.0, most))))


def _time(figure: Strayed, value: float, factor: float | None, least: float, tails: Ratios) -> Distribution:
    """A latency by its middle and how far single answers are from it; `least`: seconds that the hardware needs."""
    ratio = tails.get(figure, {})
    far: dict[str, Quantile] = {
        at: _ends(value * ratio[at] * (found := stray(figure, at)).more, wider(factor, found.factor), least)
        for at in PERCENTILES
        if at in ratio
    }
    middle = value * ratio.get("p50", 1.0)
    return replace(Distribution(mean=value * ratio.get("mean", 1.0), p50=_ends(middle, factor, least)), **far)


def _ends(value: float, factor: float | None, least: float) -> Quantile:
    if factor is None:
        return Quantile(value=value, ci95=(None, None))
    return Quantile(value=value, ci95=(max(value / factor**WIDER, min(value, least)), value * factor**WIDER))
