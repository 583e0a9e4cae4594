"""What a comparison says, in sentences: the one place that makes words of its structs, for terminal, page and JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from breakeven.compare.types import (
    NO_INTERVAL,
    Comparison,
    Difference,
    EngineComparison,
    Equivalence,
    GateLevel,
    GateResult,
    LeftOut,
    NextLevel,
    OperatingPoint,
    Reason,
    ReasonId,
    Scope,
    SideScope,
    Warned,
    WarnedId,
)
from breakeven.errors import one_line
from breakeven.say import digits, half_width, interval, percent
from breakeven.units import counted, load_text, rate_text, short_s

TWO: Final = 2
MOSTLY_LEVELS: Final = "most of the interval is what may lie between levels"
ONLY: Final = ""
"""The name of a run where there is no other."""
_FAR: Final = 2.0
"""A half width that is told as a factor."""
ANOTHER: Final = "another of the same type may differ by several per cent"


def people(users: float | None) -> str:
    """`1 user`, `50 users`."""
    return f"{users:g} user{'' if users == 1 else 's'}"


def point_load_text(point: OperatingPoint) -> str:
    """`34.2 users`; of an open loop the highest rate that meets the limits: `6.5 req/s`."""
    users, rate = point.users.value, point.req_per_s.value
    return load_text(None, rate) if users is None else people(round(users, 1))


def value_text(figure: Equivalence) -> str:
    """`1.07`, `at least 1.40`, `at most 0.80`; a dash where there is none."""
    words = {"=": "", ">=": "at least ", "<=": "at most ", None: ""}
    return words[figure.relation] + (digits(figure.value) if figure.value is not None else "–")


def interval_text(figure: Equivalence) -> str:
    """The figure's interval, or that it has none; a dash where there is no figure."""
    if figure.status == "none":
        return "–"
    return "no interval" if figure.interval_holds == "nothing" else interval(*figure.ci95)


def verdict_text(figures: Sequence[Equivalence]) -> str:
    """What k says at every service level; why there is none where no service level gives one."""
    told = [figure for figure in figures if figure.status != "none"]
    if not told:
        return "No k: " + "; ".join(f"{figure.at}: {reasons_text(figure.reasons)}" for figure in figures) + "."
    brackets = " (in brackets: 95 % intervals)" if any(one.interval_holds == "sampling" for one in told) else ""
    return "One A does the work of " + "; of ".join(_part(figure) for figure in told) + f"{brackets}."


def _part(figure: Equivalence) -> str:
    alone = " by what may lie between the levels alone" if figure.interval_holds == "levels" else ""
    tie = ", a tie" if figure.tie else ""
    return f"{value_text(figure)} B ({interval_text(figure)}{alone}{tie}) with {figure.at}"


_REASONS: Final[dict[ReasonId, Callable[[Reason], str]]] = {
    "no_percentile": lambda one: f"{one.role} has no level where every limited percentile is known",
    "misses_somewhere": lambda one: f"{one.role} surely misses it at {people(one.users)}, by an unknown amount",
    "misses_lowest": lambda one: f"{one.role} misses it with {_lowest(one)}",
    "meets_top": lambda one: f"{one.role} still meets it at its top level, {_load(one)}",
    "not_measured": lambda one: f"{one.role} was measured from {one.users:g} to {one.up_to_users:g} users only",
    "needs_fewer_users": lambda one: f"each {one.role} would have to serve fewer than {_fewer(one)} to be as fast",
    "faster_at_top": lambda one: f"{one.role} is faster still at its top level, {people(one.users)}",
    "untold_above": lambda one: f"{one.role} meets it at {_load(one)}, and of the rates above it nobody can tell",
    "none_known": lambda one: f"{one.role} has no rate that is known to meet it",
    "bracketed": lambda one: (
        f"{one.role} loses it between {load_text(None, one.req_per_s)} and {load_text(None, one.up_to_req_per_s)}"
    ),
    "read_between": lambda one: (
        f"most of the interval is what may lie between its levels of {one.users:g} and {one.up_to_users:g} users"
    ),
    "far_apart": lambda one: (
        f"what may lie between {one.users:g} and {one.up_to_users:g} users spans {_percent(one.between_share)}, "
        f"the sampling error {_percent(one.sampling_share)}"
    ),
}


def _load(one: Reason | NextLevel) -> str:
    return people(one.users) if one.req_per_s is None else load_text(None, one.req_per_s)


def _lowest(one: Reason) -> str:
    return _load(one) + ("" if one.users == 1 else ", its lowest level")


def _fewer(reason: Reason) -> str:
    lowest = reason.users or 0.0
    return "1 user" if lowest <= 1 else f"{people(lowest)}, its lowest level,"


def _percent(share: float | None) -> str:
    return percent(share or 0.0, digits=0)


def reason_text(reason: Reason) -> str:
    """Why a figure is a bound or none, or a level should be measured, without a full stop."""
    return _REASONS[reason.id](reason)


def reasons_text(reasons: Iterable[Reason]) -> str:
    """All of them in one line."""
    return "; ".join(map(reason_text, reasons))


def next_levels_text(
    following: Sequence[NextLevel], letters: Mapping[str, str] | None = None, *, figure: str = "it"
) -> str:
    """`to narrow it, measure B (runs/b) at 34 users: the interval would be about ± 9 % instead of ± 41 %; most …`.

    Where the reader knows runs by letters, `letters` has each run's; ONLY for one that needs none.
    """
    what = " and ".join(f"{_run_text(one, letters)}{_load(one)}" for one in following)
    return f"to narrow {figure}, measure {what}: {why_next_text(following)}"


def why_next_text(following: Sequence[NextLevel]) -> str:
    """What these levels are for: what they would make of the interval, where they narrow one."""
    first, last = following[0], following[-1]
    if first.reason.id != "read_between":
        return reasons_text(one.reason for one in following)
    after, before = (_half_width(factor) for factor in (last.factor_then, first.factor))
    return f"the interval would be about {after} instead of {before}; {MOSTLY_LEVELS}"


def _run_text(one: NextLevel, letters: Mapping[str, str] | None) -> str:
    name = f"{one.role} ({one_line(one.run_id, limit=80)})" if letters is None else letters.get(one.run_id, one.role)
    return f"{name} at " if name else ONLY


def _half_width(factor: float | None) -> str:
    """`± 9 %`; from twofold on the factor, as the interval is far from symmetric."""
    if factor is None:
        return "open"
    return f"± {half_width(factor - 1)}" if factor < _FAR else f"a factor of {digits(factor)} either way"


def scope_lines(scope: Scope) -> Iterator[str]:
    """For what the comparison holds, and how much of that its intervals hold; sentences."""
    sides = scope.reference, scope.candidate
    if all(side.of == "machine" and side.node_sd_log is None for side in sides):
        yield f"Holds for the machines that ran A and B: {ANOTHER}."
        return
    a, b = (f"{_stands_for(side)}; {_held(side)}." for side in sides)
    yield from [f"A and B each stand for {a}"] if a == b else [f"A stands for {a}", f"B stands for {b}"]


def _stands_for(side: SideScope) -> str:
    if side.of == "prediction":
        return "its card as predicted, which nobody has measured"
    if side.of == "node_medians":
        return f"its GPU type, by the medians of {side.nodes} nodes"
    card = "one card" if side.cards == 1 else f"one machine with {side.cards} cards"
    one = "the machine that ran it" if side.of == "machine" else f"{card} of the data set"
    return one if side.node_sd_log is None else f"its GPU type, by {one}"


def _held(side: SideScope) -> str:
    """What of the spread between cards of its type the intervals hold."""
    parts = ["the spread between those nodes"] if side.interval_over_nodes else []
    if side.of == "prediction":
        parts.append("how wrong such predictions were")
    if side.node_sd_log is not None:
        source = "as given" if side.node_sd_given else "our default, not measured here"
        parts.append(f"a spread between nodes of {100 * side.node_sd_log:g} % ({source})")
    if parts:
        return f"the intervals hold {' and '.join(parts)}"
    if side.of == "node_medians":
        return "the intervals do not hold the spread between those nodes"
    return f"the intervals hold no spread between cards: {ANOTHER}"


def engine_comparison_text(engines: EngineComparison) -> str:
    """What the figures compare where the engines differ; a sentence."""
    return (
        f"Engine comparison: A runs {engines.reference}, B runs {engines.candidate}; "
        "k is of each machine with its engine, not of the card."
    )


_WARNED: Final[dict[WarnedId, Callable[[Warned], str]]] = {
    "other_model": lambda one: f"the models differ ({_differences(one.differences)})",
    "other_precision": lambda one: f"the precision differs ({_differences(one.differences)})",
    "other_workload": lambda one: f"the workloads differ ({_differences(one.differences)})",
    "other_settings": lambda one: f"the settings differ ({_differences(one.differences)})",
    "other_engine_settings": lambda one: f"the engine's settings differ ({_differences(one.differences)})",
    "other_host": lambda one: one_line(one.host or ""),
    "level_left_out": lambda one: f"{left_out_text(one.left_out)}; the level is left out",
    "no_interval": lambda one: (
        f"no interval of throughput {_at(one)}; taken as exact, so every interval here is too narrow"
    ),
    "two_repeats": lambda one: f"two repeats cannot tell {_at(one)}; three can (--repeats 3)",
    "caution": lambda one: f"{one_line(one.caution or '', limit=60)} {_at(one)}",
    "think_time": lambda _: "users think between requests, so that throughput / users is not the speed they see",
    "several_gpus": lambda one: f"ran on {one.gpus} GPUs; k counts such machines, not cards",
}


def warned_text(warned: Warned) -> str:
    """A warning in one line, with the side that it is about."""
    side = "" if warned.role is None else f"{warned.role}: "
    return side + _WARNED[warned.id](warned)


def _differences(found: Iterable[Difference]) -> str:
    return "; ".join(f"{one.name}: A {_fact(one.reference)}, B {_fact(one.candidate)}" for one in found)


def _fact(value: str | list[str] | None) -> str:
    if isinstance(value, list):
        return one_line(" ".join(value), limit=120) or "without it"
    return "not known" if value is None else one_line(value, limit=80)


def left_out_text(level: LeftOut | None) -> str:
    """`10 users (repeat 1): no throughput`."""
    if level is None:
        return "a level"
    why = {
        "open_loop": "an open loop has no number of users",
        "no_rate": "requests that come at one moment have no rate",
        "not_done": f"the level is marked {level.status}",
        "no_throughput": "no throughput",
    }
    repeat = f" (repeat {level.repeat})" if level.repeat else ""
    return f"{load_text(level.users, level.req_per_s)}{repeat}: {one_line(why[level.why])}"


def _at(one: Warned) -> str:
    if one.rates:
        return f"at {', '.join(map(rate_text, sorted(one.rates)))} req/s"
    numbers = [str(users) for users in sorted(one.users)]
    return f"at {', '.join(numbers)} user{'' if numbers == ['1'] else 's'}"


def gate_text(result: GateResult) -> str:
    """`passed: output_tok_per_s >= 0.97 * reference (5 levels: 4 passed, 1 undecided)`."""
    verdicts = [level.verdict for level in result.levels]
    names = dict.fromkeys(("passed", "failed", "undecided"))
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in names if name in verdicts)
    return f"{result.verdict}: {result.expression} ({counted(len(verdicts), 'level')}: {counts})"


def gate_level_text(level: GateLevel, result: GateResult) -> str:
    """`10 users: output_tok_per_s 1.02 x reference (1.00 to 1.04): passed`."""
    doubt = "; the interval may be too narrow, so repeat this level" if level.may_be_narrow else ""
    if level.verdict == "undecided" and TWO in level.repeats:
        doubt += "; two repeats tell little of the spread between them, three tell three times as much"
    gated = f"{result.metric} {_gated(level, result)}{_repeats_text(level.repeats)}"
    return f"{load_text(level.users, level.req_per_s)}: {gated}: {level.verdict}{doubt}"


def _repeats_text(repeats: Sequence[int]) -> str:
    """`, 3 repeats`, `, 3 repeats against 1`; nothing where each side was measured once."""
    if max(repeats, default=1) == 1:
        return ""
    first, *others = dict.fromkeys(reversed(repeats))
    against = "".join(f" against {other}" for other in others)
    return f", {counted(first, 'repeat')}{against}"


def _gated(level: GateLevel, result: GateResult) -> str:
    def said(value: float) -> str:
        return short_s(value) if result.in_seconds else f"{value:.4g}"

    if level.more_than is not None:
        return f"more than {said(level.more_than)}"
    if level.measured.value is None:
        return "not known"
    of = " x reference" if result.relative else ""
    known = level.measured.ci95 != NO_INTERVAL
    ends = f" ({interval(*level.measured.ci95, said)})" if known else ", no interval: measure it more than once"
    return f"{said(level.measured.value)}{of}{ends}"


def rests_on(one: Comparison) -> tuple[str, ...]:
    """For what a comparison holds, what it compares, and why that may not be comparable."""
    engines = () if one.engine_comparison is None else (engine_comparison_text(one.engine_comparison),)
    return (*scope_lines(one.scope), *engines, *map(warned_text, one.warnings))


def sentences(one: Comparison) -> dict[str, str | list[str]]:
    """All that a comparison says, for a reader of its JSON."""
    return {
        "verdict": verdict_text(one.k_at_slo),
        "rests_on": list(rests_on(one)),
    }
