"""A cost report as JSON, format 2: plain values by side, then reasons, formulas, notes and the rest."""

from typing import Any, Final

from msgspec import to_builtins

from breakeven.cost import words
from breakeven.cost.result import CostReport, Figure, Side

FORMAT: Final = 2


def to_json(report: CostReport) -> dict[str, Any]:
    """Builtins for JSON: the headline on top, plain values by side, then reasons, formulas and the rest."""
    return {
        "format": FORMAT,
        "scenario": report.name,
        "title": report.title,
        "source": report.source,
        "counted": report.counted,
        "answer": {**to_builtins(report.answer), "text": words.answer_lines(report)},
        "break_even_h": {
            "reference": _value(report.reference, "break_even_h"),
            "candidate": _value(report.candidate, "break_even_h"),
        },
        **{name: _compared(report, name) for name in ("parity_usd_per_h_set", "parity_usd_per_h_card", "ratio")},
        "reference": None if report.reference is None else _side_json(report.reference),
        "candidate": _side_json(report.candidate),
        "comparison": {name: figure.value for name, figure in report.comparison.items()} or None,
        "reasons": {
            path: words.reason_text(f.reason, counted=report.counted)
            for path, f in report.all_figures().items()
            if f.reason is not None
        },
        "formulas": {path: _formula_json(f) for path, f in report.all_figures().items()},
        "variants": to_builtins(report.variants),
        "uncertainty": to_builtins(report.uncertainty),
        "tornado": to_builtins(report.tornado),
        "sweep": to_builtins(report.sweep),
        "sources": to_builtins(report.sources),
        "taken": to_builtins(report.taken),
        "notes": [{"kind": note.kind, **note.facts, "text": words.note_text(note)} for note in report.notes],
    }


def _value(side: Side | None, name: str) -> float | None:
    return None if side is None or name not in side.figures else side.figures[name].value


def _side_json(side: Side) -> dict[str, Any]:
    plain = {name: figure.value for name, figure in side.figures.items()}
    about = {"gpu": side.gpu, "name": side.name, "count": side.count, "pays": side.pays, "rented_out": side.rented_out}
    return {**about, "sources": to_builtins(side.sources), **plain, "inputs": dict(side.inputs)}


def _formula_json(figure: Figure) -> dict[str, str | None]:
    return {"formula": figure.formula, "numbers": figure.numbers, "unit": figure.unit}


def _compared(report: CostReport, name: str) -> float | None:
    figure = report.comparison.get(name)
    return None if figure is None else figure.value
