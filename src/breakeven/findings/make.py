"""Findings from runs: compared, ranked, priced, said in one sentence, and cleaned of what must not leave."""

from collections.abc import Sequence

from msgspec.structs import replace

from breakeven import __version__
from breakeven.compare.types import Comparison
from breakeven.cost.figures import COMPARISON, SIDE
from breakeven.findings.level import figure_at, point_at
from breakeven.findings.money import MoneyCase, told
from breakeven.findings.names import labels, unit
from breakeven.findings.pooled import one_a_load
from breakeven.findings.ranking import ranking
from breakeven.findings.scrub import scrubbed
from breakeven.findings.sentence import Told, alone, best_comparison, compared, level_text
from breakeven.findings.series import LevelSeries
from breakeven.findings.subjects import interactivity_of, subjects_of
from breakeven.findings.types import Findings, Money, Subject
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary

DEFINED: tuple[tuple[str, str], ...] = (
    ("capacity C(s)", "the greatest throughput within the measured range that still meets the service level s"),
    ("k(s)", "C_A(s) / C_B(s): how many of B do the work of one A at the service level s"),
    ("rented share", "part of the time it is up in which somebody rents the card: the owner's income"),
    ("load factor", "part of the paid time in which a server serves at its measured throughput"),
    ("ROI parity rent", "the rent at which the candidate earns its purchase back in the reference's time"),
    ("cost parity rent", "the rent at which the candidate's tokens cost what the reference's cost"),
    ("95 % interval", "sampling error of the runs; of k also the spread over ways to read between two levels"),
)
"""What no row of a table defines."""


def findings(
    runs: Sequence[RunSummary],
    *,
    comparisons: Sequence[Comparison] = (),
    service_level: ServiceLevel | None = None,
    cases: Sequence[MoneyCase] = (),
    series: Sequence[Sequence[LevelSeries]] = (),
    notes: Sequence[str] = (),
    commands: Sequence[str] = (),
    title: str | None = None,
) -> Findings:
    """Everything that a report may say. The first run is the reference; `comparisons` hold the others against it.

    `cases` are the economics, one a candidate and in the same order; `series` the throughput over time, one list a
    run. Every text is cleaned of paths, keys and control characters.
    """
    points = [point_at(run, service_level) for run in runs]
    known = labels([run.run for run in runs])
    money = [
        told(case, label=known[case.candidate] if case.candidate is not None else case.report.name) for case in cases
    ]
    shown = [replace(run, levels=one_a_load(run.levels)) for run in runs]
    interactivity = interactivity_of(shown)
    subjects = subjects_of(shown, points=points, series=series, money=money, interactivity=interactivity)
    counted = unit(runs[0].run)
    level = level_text(service_level, unit=counted)
    answers = _answers(subjects, comparisons, money, service_level, level=level)
    best = best_comparison(comparisons, money, [figure_at(one, service_level) for one in comparisons])
    money = [replace(case, answer=text, confidence=sure) for case, (text, sure) in zip(money, answers, strict=False)]
    return scrubbed(
        Findings(
            version=__version__,
            title=title or _title(subjects),
            answer=answers[best][0],
            confidence=answers[best][1],
            service_level=level,
            floor_tok_per_s_per_user=None if service_level is None else service_level.floor_tok_per_s_per_user,
            unit=counted,
            interactivity=interactivity,
            subjects=subjects,
            ranking=ranking(subjects, money),
            comparisons=tuple(comparisons),
            money=tuple(money),
            best_money=best if money else None,
            notes=tuple(notes),
            commands=tuple(commands),
            definitions=definitions(priced=bool(money)),
        )
    )


def _answers(
    subjects: Sequence[Subject],
    comparisons: Sequence[Comparison],
    money: Sequence[Money],
    service_level: ServiceLevel | None,
    *,
    level: str | None,
) -> list[Told]:
    """The sentence of each candidate; of the only run where there is none."""
    if not comparisons:
        return [alone(subjects[0], money=money[0] if money else None, level=level)]
    return [
        compared(
            subjects[0],
            subjects[index],
            figure_at(comparison, service_level),
            money=money[index - 1] if index <= len(money) else None,
            level=level,
        )
        for index, comparison in enumerate(comparisons, 1)
    ]


def _title(subjects: Sequence[Subject]) -> str:
    if len(subjects) > 3:
        return f"{subjects[0].label} against {len(subjects) - 1} others"
    return " vs ".join(subject.label for subject in subjects)


def definitions(*, priced: bool) -> tuple[tuple[str, str], ...]:
    """Name and formula of everything that is shown; the economics only where there are prices."""
    rates = ((rate.label, rate.formula) for rate in RATES.values())
    measured = (*rates, *((metric.label, metric.formula) for metric in METRICS.values()))
    if not priced:
        return (*measured, *DEFINED)
    rows = {**SIDE, **COMPARISON}
    return (*measured, *DEFINED, *((f"{row.label} ({name})", row.formula) for name, row in rows.items()))
