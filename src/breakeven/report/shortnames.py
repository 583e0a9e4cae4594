"""What tells the runs of a report apart: `vLLM` and `llama.cpp` on one card, `L4` and `A100` with one engine."""

from collections.abc import Callable, Sequence
from typing import Final

from breakeven.findings import Findings, Money, Subject
from breakeven.findings.study import StudyFindings
from breakeven.report.fields import gpus_of
from breakeven.report.studywords import named

_PARTS: Final[tuple[Callable[[Subject], str], ...]] = (
    lambda one: one.hardware,
    lambda one: one.engine,
    lambda one: one.mark,
)


def short_names(found: Findings) -> list[str]:
    """A name for each run from the parts that differ; the letter where runs are alike in all of them.

    Of a study its cell's settings.
    """
    if found.study is not None:
        return [_cell(found.study, one) for one in found.subjects]
    parts = [part for part in _PARTS if len({part(one) for one in found.subjects}) > 1] or [_PARTS[0]]
    names = _joined(found, parts)
    names = names if len(set(names)) == len(names) else _joined(found, [*parts, _model])
    return [_apart(names, index, one.letter) for index, one in enumerate(found.subjects)]


def marked_names(found: Findings) -> list[str]:
    """The same, and with its mark where the name does not tell it already."""
    tells = found.study is None and len({one.mark for one in found.subjects}) > 1
    return [
        name if tells or not one.mark else f"{name} ({one.mark})"
        for name, one in zip(short_names(found), found.subjects, strict=True)
    ]


def _cell(study: StudyFindings, one: Subject) -> str:
    cell = study.cell(one.id)
    return one.label if cell is None else named(cell)


def _model(one: Subject) -> str:
    return (one.model or "").rpartition("/")[2]


def _joined(found: Findings, parts: Sequence[Callable[[Subject], str]]) -> list[str]:
    return [" · ".join(filter(None, (part(one) for part in parts))) or one.label for one in found.subjects]


def _apart(names: Sequence[str], index: int, letter: str) -> str:
    return names[index] if names.count(names[index]) == 1 else f"{names[index]} ({letter})"


def sides_of(case: Money, found: Findings) -> dict[str, str]:
    """What the two sides are called: by what differs where both are runs, else by their cards."""
    names, runs = short_names(found), {"candidate": case.candidate, "reference": case.reference}
    gpus = gpus_of(case)
    if any(runs[side] is None for side in gpus):
        return gpus
    return {side: names[index] for side, index in runs.items() if index is not None and side in gpus}
