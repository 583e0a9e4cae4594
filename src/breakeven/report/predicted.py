"""Predicted curves in a terminal: a table a card, what holds each level back, and where the prediction comes from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from breakeven.findings import names
from breakeven.findings.choice import Left
from breakeven.hardware import ModelShape
from breakeven.metrics.summary import Distribution, LevelSummary, RunFacts, RunSummary
from breakeven.predict.text import told_precision
from breakeven.predict.told import BOUND_SAYS, TIER_SAYS, UNLIKE_SAYS, outside_text
from breakeven.say import Ends, interval, room, wrapped
from breakeven.table import Column, Table, heads, lines
from breakeven.units import short_count, short_s

LACKS_SAYS: Final = {
    "card": "none are of this card or its like",
    "engine": "none are of this engine",
    "experts": "those of models with experts are not read",
    "attention": "those of windowed attention are not read",
    "precision": "they are read in bf16 and fp8 alone",
    "cards": "they are of 1, 2, 4 or 8 cards",
}
_COLUMNS: Final = (
    *(Column("tok/s"), Column("95 %", goes=1), Column("a user", goes=2)),
    *(
        Column(name, over=over, goes=goes)
        for over in ("TTFT", "TPOT")
        for name, goes in (("p50", 0), ("95 %", 3), ("p95", 3))
    ),
    Column("held back by", align="left", goes=4),
)


def predicted_text(
    model: ModelShape, runs: Sequence[RunSummary], left: Sequence[Left], *, where: Sequence[str] = ()
) -> str:
    """All curves, then what was left out and where the runs are kept."""
    return "\n".join(_lines(model, runs, left, where))


def _lines(model: ModelShape, runs: Sequence[RunSummary], left: Sequence[Left], where: Sequence[str]) -> Iterator[str]:
    yield f"predicted, not measured: {model.name} in {model.precision}"
    for index, run in enumerate(runs):
        told = run.run.workload
        load = "req/s" if run.run.settings.get("rate") else "users"
        yield ""
        yield f"{title(run.run)}; {told.get('input_tokens')} tokens in, {told.get('output_tokens')} out"
        columns = (Column(load), *_COLUMNS)
        yield from lines(Table(columns, [_row(run, level) for level in run.levels]), width=room(), indent="  ")
        grows = [one for level in run.levels for one in level.cautions if one.id == "saturated"]
        yield from (f"  {one.text}" for one in grows)
        yield from wrapped(source_text(run.run), first="  from ", rest="       ")
        if where:
            yield f"  kept as {where[index]}"
    if left:
        yield ""
        yield from left_lines(left)
    if runs:
        yield ""
        if any(run.run.settings.get("rate") for run in runs):
            yield "no bound above: it may be more than can be served, where the queue grows as long as requests come"
        yield "95 %: found on measurements that the calibration had not seen; -: too few of them to tell"
        yield "a user: tok/s / users. p50: middle values. p95: of single answers, from a simulated engine"


def title(run: RunFacts) -> str:
    """`2 x H100 80GB SXM5 with vLLM 0.11`."""
    engine = names.engine(run.engine, version=True)
    about = run.settings.get("predicted") or {}
    replicas = f", {about['replicas']} replicas, {about['routing']}" if about.get("replicas") else ""
    kept = about.get("precision", "")
    told = told_precision(about.get("asked_precision", kept), kept, about["products"]) if about.get("products") else ""
    return names.hardware(run.host) + (f" with {engine}" if engine else "") + (told and f", in {told}") + replicas


def source_text(run: RunFacts) -> str:
    """How near the measurements are that a prediction rests on, and whose they are."""
    about: dict[str, Any] = run.settings["predicted"]
    when = f", {about['measured']}" if about.get("measured") else ""
    told = f"{about['points']} measurements of {TIER_SAYS[about['nearest']]}{when}: {about['source']}"
    lacks = "" if about.get("own") else LACKS_SAYS.get(about.get("lacks_kernels", ""), "")
    told += f"; not from measured kernels: {lacks}" if lacks else ""
    told += "".join(f"; {UNLIKE_SAYS[one]}" for one in about.get("unlike", ()))
    return told + (f"; {outside_text(**about['outside'])}" if about.get("outside") else "")


def left_lines(left: Sequence[Left]) -> list[str]:
    """Cards that are no candidates, and why."""
    rows = [(one.gpu, one.why + (f": {one.detail}" if one.detail else "")) for one in left]
    return lines(Table(heads("", "", left=(0, 1)), rows), indent="  ")


def _row(run: RunSummary, level: LevelSummary) -> tuple[str, ...]:
    speed, ttft, tpot = level.output_tok_per_s, level.of("ttft_s"), level.of("tpot_s")
    load = f"{level.req_per_s_offered:g}" if level.users is None else str(level.users)
    each = level.of("tok_per_s_per_user").p50.value if level.users is None else (speed.value or 0.0) / level.users
    return (
        load,
        short_count(speed.value or 0.0),
        _ends(speed.ci95, short_count),
        "-" if each is None else short_count(each),
        *_latency(ttft),
        *_latency(tpot),
        BOUND_SAYS[run.run.settings["predicted"]["bounds"][load]],
    )


def _latency(of: Distribution) -> tuple[str, str, str]:
    """The middle, its interval, and p95."""
    middle, far = ("-" if one.value is None else short_s(one.value) for one in (of.p50, of.p95))
    return middle, _ends(of.p50.ci95, short_s), far


def _ends(ci95: Ends, said: Callable[[float], str]) -> str:
    return "-" if ci95[0] is None else interval(*ci95, said)
