"""How far predictions were from what was measured, in a terminal: errors, intervals, and the other predictor beside."""

from collections.abc import Iterator, Sequence
from typing import Final

from breakeven.predict.calibrations import ALL_TIERS
from breakeven.predict.coverage import FIGURES, Row
from breakeven.predict.owntried import OwnLevel
from breakeven.predict.told import TIER_SAYS
from breakeven.reference.serving import PEER
from breakeven.say import fixed, wrapped
from breakeven.table import Table, heads, lines
from breakeven.units import short_count, short_s

_COLUMNS: Final = heads("", "points", "TPOT", "in", "TTFT", "in", "tok/s", "in", "asked", "TPOT", "TTFT", "tok/s")
_OWN: Final = heads("users", "TPOT", "predicted", "", "TTFT", "predicted", "", "tok/s", "predicted", "")


def validated_text(rows: Sequence[Row], own: Sequence[OwnLevel], *, how: str) -> str:
    """Both tables, each only where it has a line."""
    parts = [_held_lines(rows, how)] if rows else []
    parts += [_own_lines(own)] if own else []
    return "\n\n".join("\n".join(part) for part in parts)


def _held_lines(rows: Sequence[Row], how: str) -> Iterator[str]:
    yield "predictions of measured points that the fit had not seen; nearest measurement that it had:"
    yield ""
    yield from _table([row for row in rows if row.by == "all"])
    for tier in ALL_TIERS:
        grouped = [row for row in rows if row.tier == tier and row.by != "all"]
        if grouped:
            yield ""
            yield f"nearest: {TIER_SAYS[tier]}"
            yield from _table(grouped)
    yield ""
    yield from wrapped(
        "in %. TPOT, TTFT, tok/s: median of |predicted / measured - 1|; in: points in their 90 % interval, whose width "
        f"comes from other points. asked: points that {PEER} was asked about too, and its errors on them / ours"
    )
    yield from wrapped(how)


def _table(rows: Sequence[Row]) -> list[str]:
    return lines(Table(_COLUMNS, [*map(_row, rows)]), indent="  ")


def _row(row: Row) -> tuple[str, ...]:
    name = TIER_SAYS[row.tier] if row.by == "all" else row.name
    figures = [row.figures[name] for name in FIGURES]
    cells = [cell for one in figures for cell in (_percent(one.error), _percent(one.inside, digits=0))]
    if row.beside is None:
        return name, str(row.points), *cells, "-", "-", "-", "-"
    beside = (f"{_percent(row.beside.peers[name])} / {_percent(row.beside.ours[name])}" for name in FIGURES)
    return name, str(row.points), *cells, str(row.beside.points), *beside


def _percent(part: float, *, digits: int = 1) -> str:
    """Without its sign, which the line below the tables has."""
    return fixed(100 * part, digits)


def _own_lines(levels: Sequence[OwnLevel]) -> Iterator[str]:
    for run_id in dict.fromkeys(one.run_id for one in levels):
        mine = [one for one in levels if one.run_id == run_id]
        yield f"{run_id}, predicted from {mine[0].by}"
        yield from lines(Table(_OWN, [*map(_own_row, mine)]), indent="  ")
        tried = [one for level in mine for one in level.figures.values() if one.inside is not None]
        yield f"  {sum(bool(one.inside) for one in tried)} of {len(tried)} figures in their 90 % interval"
        yield ""


def _own_row(one: OwnLevel) -> tuple[str, ...]:
    cells: list[str] = []
    for name in FIGURES:
        say = short_count if name == "output_tok_per_s" else short_s
        figure = one.figures.get(name)
        if figure is None:
            cells += ["-", "-", ""]
        else:
            mark = {None: "", True: "inside", False: "outside"}[figure.inside]
            cells += [say(figure.measured), say(figure.predicted), mark]
    return str(one.users), *cells
