"""The figures of a report as tables: of both sides by group, of the comparison, of power, of what moves the result."""

from collections.abc import Callable, Mapping

from breakeven import say
from breakeven.cost import words
from breakeven.cost.figures import GROUPS
from breakeven.cost.result import CostReport, Figure, Side, Swing, Tornado
from breakeven.table import Bar, Cell, Column, Table, Told, heads

Sides = Mapping[str, Side]


def figure_table(report: CostReport, *, unknown: str = say.DASH, is_worth_it: Callable[[str], bool] = bool) -> Table:
    """Every figure that is known of either side, by group; `is_worth_it` says of its name whether it is shown."""
    sides = _sides(report)
    names = {name: figure for side in sides.values() for name, figure in side.figures.items()}
    known = [name for name, one in names.items() if one.shown and _is_known(sides, name) and is_worth_it(name)]
    rows: list[list[Cell]] = []
    for group, title in GROUPS.items():
        shown = [name for name in known if names[name].group == group]
        rows += [[say.label_of(title, report.counted)]] if shown else []
        rows += [_row(report, sides, name, unknown=unknown) for name in shown]
    return Table(_columns(sides), rows)


def comparison_table(report: CostReport) -> Table:
    """What is known of the candidate against the reference."""
    known = {name: one for name, one in report.comparison.items() if one.shown and not one.is_missing}
    rows: list[list[Cell]] = [
        [say.label_of(one.label, report.counted), _cell(report, one, name)] for name, one in known.items()
    ]
    return Table(heads("Candidate against reference", ""), rows)


def power_table(report: CostReport) -> Table:
    """What follows from the power that a scenario declares; no rows where it declares none."""
    sides = {part: side for part, side in _sides(report).items() if "power_load_w" in side.inputs}
    watts = (Told(f"{side.inputs['power_load_w']:.4g} W", source=side.source("power") or "") for side in sides.values())
    names = [name for name in ("energy_usd_per_h", "tok_per_j") if _is_known(sides, name)]
    rows: list[list[Cell]] = [["power of a card under load", *watts], *(_row(report, sides, name) for name in names)]
    return Table(_columns(sides), rows if sides else [])


def swing_table(report: CostReport) -> Table:
    """A bar an input, the longest first, with the result at both of its ends."""
    found = report.tornado
    if found is None:
        return Table((), ())
    longest = max((length for one in found.swings if (length := _length(one)) is not None), default=0.0)
    label = words.label_text(found.target, counted=report.counted)
    rows: list[list[Cell]] = [
        [
            *(words.PLACES.get(one.place, one.place), say.short(one.p10), say.short(one.p90)),
            *(_end(one.at_p10, found), _end(one.at_p90, found), Told("", bar=_bar(one, longest))),
        ]
        for one in found.swings
    ]
    return Table(heads(f"What moves it most ({label})", "P10", "P90", "at P10", "at P90", "", left=(0, 5)), rows)


def _end(value: float | None, found: Tornado) -> str:
    if value is None:
        return "never" if found.unit == "h" else "none"
    return say.bare(value, found.unit)


def _length(swing: Swing) -> float | None:
    return None if swing.at_p10 is None or swing.at_p90 is None else abs(swing.at_p90 - swing.at_p10)


def _bar(swing: Swing, longest: float) -> Bar:
    """As long as can be where an end is never reached."""
    length = _length(swing)
    return Bar(1.0 if length is None else length / longest if longest else 0.0, None)


def _sides(report: CostReport) -> Sides:
    both = {"reference": report.reference, "candidate": report.candidate}
    return {part: side for part, side in both.items() if side is not None}


def _columns(sides: Sides) -> list[Column]:
    return [*heads(""), *(Column(words.set_text(side), name=part) for part, side in sides.items())]


def _is_known(sides: Sides, name: str) -> bool:
    return any(name in side.figures and not side.figures[name].is_missing for side in sides.values())


def _row(report: CostReport, sides: Sides, name: str, *, unknown: str = say.DASH) -> list[Cell]:
    label = next(side.figures[name].label for side in sides.values() if name in side.figures)
    cells = (_cell(report, side.figures.get(name), f"{part}.{name}", unknown) for part, side in sides.items())
    return [say.label_of(label, report.counted), *cells]


def _cell(report: CostReport, figure: Figure | None, place: str, unknown: str = say.DASH) -> Told:
    if figure is None:
        return Told(unknown, figure=place)
    text = words.figure_text(figure, counted=report.counted)
    return Told(unknown if text == "-" else text, figure=place, formula=figure.formula)
