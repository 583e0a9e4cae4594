"""The history of a cell in words: its answer, a row a run, and a mark where its figure surely changed."""

from collections.abc import Iterator, Sequence
from typing import Final

from breakeven import say
from breakeven.compare.history import AtLoad, History, Point
from breakeven.errors import one_line, printable
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.slo import limited
from breakeven.report import mdtext
from breakeven.table import Column, Table, lines
from breakeven.units import load_text, short_count, short_s

MOST_CHANGES: Final = 3
"""Runs that the answer names."""


def history_lines(found: History) -> Iterator[str]:
    """The answer, then a table a load."""
    yield from say.wrapped(printable(answer_text(found)))
    for line in notes(found):
        yield from say.wrapped(printable(line))
    for at in found.loads:
        yield from ("", f"{label(found)} {load(at)}")
        rows = [tuple(map(printable, row)) for row in history_rows(found, at)]
        yield from lines(Table(history_heads(found), rows), width=say.room())


def history_markdown(found: History) -> str:
    """The same for a pull request."""
    told = [f"**{mdtext.text(answer_text(found))}**", ""]
    told += [*(f"<sub>{mdtext.text(line)}</sub>" for line in notes(found)), ""]
    for at in found.loads:
        rows = [[mdtext.text(cell) for cell in row] for row in history_rows(found, at)]
        told += [mdtext.text(f"{label(found)} {load(at)}"), ""]
        told += mdtext.table([mdtext.text(column.head) for column in history_heads(found)], rows, left=3)
    return "\n".join(told).rstrip() + "\n"


def answer_text(found: History) -> str:
    """At which runs the figure surely changed, the oldest first, and by how much at each load."""
    runs = len({point.run_id for at in found.loads for point in at.points})
    changed: dict[str, list[tuple[AtLoad, Point]]] = {}
    for at, point in sorted(found.changes(), key=lambda one: one[1].started_s or 0.0):
        changed.setdefault(point.run_id, []).append((at, point))
    if not changed:
        return f"{label(found)}: no sure change in {runs} runs."
    told = "; ".join(_change_text(changes) for changes in [*changed.values()][:MOST_CHANGES])
    more = f"; and {len(changed) - MOST_CHANGES} more" if len(changed) > MOST_CHANGES else ""
    return f"{label(found)} surely changed at {len(changed)} of {runs} runs: {told}{more}."


def _change_text(changes: Sequence[tuple[AtLoad, Point]]) -> str:
    """`day3 of 2026-11-03 (-20.0 % with 4 users)`; a run whose name begins with its day needs no other."""
    first = changes[0][1]
    run, day = one_line(first.run_id, limit=60), (first.started or "")[:10]
    when = f" of {day}" if day and not run.startswith(day) else ""
    loads = ", ".join(f"{say.more((point.ratio.value or 1) - 1)} {load(at)}" for at, point in changes)
    return f"{run}{when} ({loads})"


def notes(found: History) -> Iterator[str]:
    """What a run is held against, how sure a mark is, and which runs are not in it."""
    tests = "the test raises" if found.tests == 1 else f"the {found.tests} tests together raise"
    yield (
        f"Each run is held against the first since the last sure change; {tests} a false alarm in at most 5 %, as far "
        "as the runs' own intervals tell."
    )
    if found.left_out:
        names = ", ".join(one_line(run, limit=60) for run in found.left_out)
        yield f"Left out, as no level of it is finished: {names}."


def label(found: History) -> str:
    """`Output throughput`, `TTFT p99`."""
    if found.metric in RATES:
        return _capital(RATES[found.metric].label.replace("tok/s", found.unit))
    name, which = limited()[found.metric]
    return f"{METRICS[name].label} {which}"


def _capital(text: str) -> str:
    return text if "/" in text else text[:1].upper() + text[1:]


def load(at: AtLoad) -> str:
    """`with 4 users`, `at 2.5 req/s`."""
    return f"{'at' if at.users is None else 'with'} {load_text(at.users, at.req_per_s)}"


def change_text(point: Point) -> str:
    """`-20.0 % (-23.0 % to -17.0 %)` against what it is held against; empty for what is held against nothing."""
    if point.ratio.value is None:
        return ""
    ends = say.closed((_less_one(point.ratio.ci95[0]), _less_one(point.ratio.ci95[1])), say.more)
    return f"{say.more(point.ratio.value - 1)}{f' ({ends})' if ends else ''}"


def when_text(point: Point) -> str:
    """When the run began; empty where it does not say."""
    return (point.started or "")[:16].replace("T", " ")


def mark_text(point: Point) -> str:
    """What is said of a change, or of one that cannot be told."""
    if point.is_change:
        more = "more" if (point.ratio.value or 1) > 1 else "less"
        return f"◀ {more} than {one_line(point.against or '', limit=60)}"
    if not point.is_perhaps:
        return ""
    return "perhaps: measured once, its ± may be too narrow" if point.may_be_narrow else "perhaps"


def history_heads(found: History) -> list[Column]:
    """What the columns are called; of a latency each cell has its unit."""
    figure = found.unit if found.metric in RATES else label(found)
    return [
        *(Column("started", align="left", goes=1), Column("run", align="left")),
        *(Column("version", align="left", goes=3), Column(figure), Column("95 %", goes=2), Column("change")),
        Column("", align="left"),
    ]


def history_rows(found: History, at: AtLoad) -> list[tuple[str, ...]]:
    """A row a run."""
    return [_row(found, point) for point in at.points]


def _row(found: History, point: Point) -> tuple[str, ...]:
    return (
        when_text(point),
        one_line(point.run_id, limit=60),
        one_line(point.version or "", limit=30),
        figure_text(found, point.figure.value),
        say.closed(point.figure.ci95, lambda one: figure_text(found, one)),
        change_text(point),
        mark_text(point),
    )


def _less_one(value: float | None) -> float | None:
    return None if value is None else value - 1


def figure_text(found: History, value: float | None) -> str:
    """A figure; its unit stands in the head where it is a rate."""
    if value is None:
        return ""
    return short_count(value) if found.metric in RATES else short_s(value)
