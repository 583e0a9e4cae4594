"""The history of a cell in the terminal and in Markdown: a row a run, and a mark where its figure surely changed."""

from collections.abc import Iterator

from breakeven import say
from breakeven.compare.history import History, Point
from breakeven.compare.words import people
from breakeven.errors import one_line, printable
from breakeven.metrics.definitions import RATES
from breakeven.report import mdtext
from breakeven.table import Table, heads, lines
from breakeven.units import short_count, short_s

_HEADS = ("started", "run", "version", "figure", "95 %", "change", "")


def history_lines(found: History) -> Iterator[str]:
    """A table a load, and what the marks mean."""
    for users, points in found.points.items():
        yield f"{found.metric} with {people(users)}"
        rows = [tuple(map(printable, _row(found, point))) for point in points]
        yield from lines(Table(heads(*_HEADS, left=(0, 1, 2, 6)), rows), width=say.room())
        yield ""
    yield summary_text(found)


def history_markdown(found: History) -> str:
    """The same for a pull request."""
    told = [f"**{mdtext.text(summary_text(found))}**", ""]
    for users, points in found.points.items():
        told += [f"{mdtext.text(found.metric)} with {people(users)}", ""]
        rows = [[mdtext.text(cell) for cell in _row(found, point)] for point in points]
        told += mdtext.table(_HEADS, rows, left=3)
    return "\n".join(told).rstrip() + "\n"


def summary_text(found: History) -> str:
    """How many changes there are, and how sure a mark is."""
    changes = sum(point.is_change for points in found.points.values() for point in points)
    many = {0: "no sure change", 1: "one sure change"}.get(changes, f"{changes} sure changes")
    return (
        f"{many}; each run is held against the first since the last change ({found.tests} tests, which together raise "
        "a false alarm in at most 5 % as far as the runs' own intervals tell)"
    )


def _row(found: History, point: Point) -> tuple[str, ...]:
    ratio = point.ratio
    ends = say.closed((_less_one(ratio.ci95[0]), _less_one(ratio.ci95[1])), say.more)
    change = "" if ratio.value is None else f"{say.more(ratio.value - 1)}{f' ({ends})' if ends else ''}"
    return (
        (point.started or "")[:16].replace("T", " "),
        one_line(point.run_id, limit=60),
        one_line(point.version or "", limit=30),
        _figure(found, point.figure.value),
        say.closed(point.figure.ci95, lambda one: _figure(found, one)),
        change,
        _mark(point),
    )


def _mark(point: Point) -> str:
    """What is said of a change, or of one that cannot be told."""
    if point.is_change:
        more = "more" if (point.ratio.value or 1) > 1 else "less"
        return f"◀ {more} than {one_line(point.against or '', limit=60)}"
    if not point.is_perhaps:
        return ""
    return "perhaps: measured once, its ± may be too narrow" if point.may_be_narrow else "perhaps"


def _less_one(value: float | None) -> float | None:
    return None if value is None else value - 1


def _figure(found: History, value: float | None) -> str:
    if value is None:
        return ""
    return short_count(value) if found.metric in RATES else short_s(value)
