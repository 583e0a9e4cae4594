"""A search of settings in words: what it tried and took, what was predicted before it, how to repeat its best."""

import shlex
from collections.abc import Iterator

from breakeven.findings.search import AsPredicted, Foreseen, Matrix, Repeat, Searched
from breakeven.findings.study import Of
from breakeven.metrics.summary import Estimate
from breakeven.report.studywords import UNITS, written
from breakeven.say import share
from breakeven.units import counted, short_s


def foreseen_lines(found: Foreseen) -> tuple[str, str]:
    """What was predicted, and how much of it is measured."""
    first = f"predicted for {found.card}, measured by nobody: best of {found.settings} settings is {found.best}, "
    second = f"{found.kept} are measured, of {found.near} whose prediction lies inside that interval"
    more = f"; {found.nothing} are predicted to give nothing" if found.nothing else ""
    return first + _said(found.figure, found.goal), second + more


def _said(best: Estimate, goal: Of) -> str:
    low, high = best.ci95
    inside = "" if low is None or high is None else f" ({written(low, of=goal)} to {written(high, of=goal)})"
    return f"{written(best.value or 0.0, of=goal)} {UNITS[goal]}{inside}"


def search_lines(found: Searched) -> Iterator[str]:
    """How much of the space was tried, what was left out and why it ended, and the time against the full matrix."""
    yield (
        f"search: {found.tried} of {found.settings} settings measured in {found.starts} starts, {found.failed} failed, "
        f"{found.skipped} left out beside one that failed, in {short_s(found.used_s)}"
    )
    if found.in_the_way:
        left = counted(found.in_the_way, "setting")
        yield f"        {left} could not be tried for what was in the way of any setting; run --resume tries again"
    if found.tried:
        others = (
            f"{counted(found.as_good, 'other setting')} may be as good" if found.as_good else "the others are worse"
        )
        yield f"        {_why_over(found)}; of those tried {others}"
        if found.spread is not None:
            apart = share(found.spread)
            yield f"        starts of one setting lie about {apart} apart (standard deviation, all settings together)"
    if found.predicted is not None:
        yield from _predicted(found.predicted, found)
    yield from _against(found.matrix, found)


def _predicted(before: AsPredicted, found: Searched) -> Iterator[str]:
    likely = f"only the {found.settings} likely best are here"
    yield f"        of {before.settings} settings predicted for {before.card} {likely}"
    if before.figure is not None:
        figure = f"{written(before.figure, of=found.goal)} {UNITS[found.goal]}"
        yield f"        the best as measured was predicted to give {figure}"


def _against(matrix: Matrix, found: Searched) -> Iterator[str]:
    if matrix.takes_s is not None and found.used_s:
        yield (
            f"        the full matrix ({matrix.settings} settings, {matrix.rounds} starts each, every level) would "
            f"take about {short_s(matrix.takes_s)} by the mean start and level seen, an estimate: the search took "
            f"{share(found.used_s / matrix.takes_s)} of it"
        )


def _why_over(found: Searched) -> str:
    if not found.is_over:
        return "it is not over: run --resume goes on"
    return f"nothing is left that may be more than {share(found.margin)} better, or it has had all its starts"


def repeat_lines(found: Repeat) -> Iterator[str]:
    """How to measure the best setting again, and to serve with it."""
    yield f"measure it again: breakeven run {found.plan}"
    if found.settings is not None:
        model = [] if found.model is None else [f"--model {shlex.quote(found.model)}"]
        words = [*model, *(f"--set {shlex.quote(f'{name}={value}')}" for name, value in found.settings.items())]
        yield f"or by hand:       breakeven run {' '.join(words)}"
    for line in found.lines:
        yield f"serve with it:    {line}"
