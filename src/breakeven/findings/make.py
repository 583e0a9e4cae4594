"""Findings from runs: compared, ranked, priced, answered, and cleaned of what must not leave."""

from collections.abc import Sequence

from msgspec.structs import replace

from breakeven import __version__
from breakeven.compare.types import Comparison, NextLevel
from breakeven.findings.answer import alone, best_comparison, compared
from breakeven.findings.level import figure_at, narrowing, points_at
from breakeven.findings.measured import Measured
from breakeven.findings.money import NO_PRICES, Prices, money_cases, told
from breakeven.findings.names import labels, unit
from breakeven.findings.pooled import one_a_load
from breakeven.findings.ranking import ranking
from breakeven.findings.scrub import scrubbed
from breakeven.findings.series import LevelSeries
from breakeven.findings.subjects import interactivity_of, subjects_of
from breakeven.findings.types import Answer, Findings, Money, Subject
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary


def findings(
    runs: Sequence[RunSummary],
    *,
    comparisons: Sequence[Comparison] = (),
    service_level: ServiceLevel | None = None,
    prices: Prices = NO_PRICES,
    series: Sequence[Sequence[LevelSeries]] = (),
    notes: Sequence[str] = (),
    commands: Sequence[str] = (),
    title: str | None = None,
) -> Findings:
    """Everything that a report may say. The first run is the reference; `comparisons` hold the others against it.

    `series` are the throughput over time, one list a run. Every text is cleaned of paths, keys and control characters.
    """
    following = narrowing(runs[0], service_level) if len(runs) == 1 else ()
    found = drafted(
        runs, comparisons=comparisons, service_level=service_level, prices=prices, series=series, following=following
    )
    return scrubbed(replace(found, title=title, notes=tuple(notes), commands=tuple(commands)))


def drafted(
    runs: Sequence[RunSummary],
    *,
    comparisons: Sequence[Comparison] = (),
    service_level: ServiceLevel | None = None,
    prices: Prices = NO_PRICES,
    series: Sequence[Sequence[LevelSeries]] = (),
    following: tuple[NextLevel, ...] = (),
) -> Findings:
    """The same before its texts are cleaned; for who takes a few figures of many runs and cleans those.

    `following` are the levels to measure next of an only run.
    """
    points = points_at(runs, service_level)
    figures = [figure_at(one, service_level) for one in comparisons]
    known = labels([run.run for run in runs])
    measured = [
        None if point is None else Measured(index=index, run=run.run, point=point)
        for index, (run, point) in enumerate(zip(runs, points, strict=True))
    ]
    cases = money_cases(measured, comparisons, figures, prices)
    money = [
        told(case, label=case.report.candidate.name if case.candidate is None else known[case.candidate])
        for case in cases
    ]
    shown = [replace(run, levels=one_a_load(run.levels)) for run in runs]
    interactivity = interactivity_of(shown)
    subjects = subjects_of(shown, points=points, series=series, money=money, interactivity=interactivity)
    answers = _answers(subjects, comparisons, money, service_level, following=following)
    best = best_comparison(comparisons, money, figures)
    money = [replace(case, answer=answer) for case, answer in zip(money, answers, strict=False)]
    return Findings(
        version=__version__,
        title=None,
        answer=answers[best],
        service_level=service_level,
        unit=unit(runs[0].run),
        interactivity=interactivity,
        subjects=subjects,
        ranking=ranking(subjects, money),
        comparisons=tuple(comparisons),
        money=tuple(money),
        best_money=best if money else None,
    )


def _answers(
    subjects: Sequence[Subject],
    comparisons: Sequence[Comparison],
    money: Sequence[Money],
    service_level: ServiceLevel | None,
    *,
    following: tuple[NextLevel, ...],
) -> list[Answer]:
    """The answer of each candidate; of the only run where there is none."""
    if not comparisons:
        return [alone(subjects[0], money=money[0] if money else None, measure_next=following)]
    return [
        compared(index, figure_at(comparison, service_level), money=money[index - 1] if index <= len(money) else None)
        for index, comparison in enumerate(comparisons, 1)
    ]
