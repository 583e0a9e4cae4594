"""Calibrations as rows of a table, each with its source; finds the one that stands nearest to what is to be
predicted."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from breakeven.hardware import Gpu, ModelShape, find_gpu
from breakeven.predict.closed import Bound, Waiting
from breakeven.predict.fit import Parameters
from breakeven.predict.levels import Group, Key, Kind, nearest, nearest_of
from breakeven.predict.steptime import Efficiency
from breakeven.reference.fleet import read_rows

Tier = Literal["same", "card", "engine", "none", "kernels"]
"""How near the nearest measurement is: the same model on this card and engine; another model on them; the engine on
other
cards; other engines only; kernels of the engine on this card, and the engine on other cards."""
TIERS: Final[tuple[Tier, ...]] = ("same", "card", "engine", "none")
"""Those that need nothing but the table."""
ALL_TIERS: Final[tuple[Tier, ...]] = (*TIERS, "kernels")
Figure = Literal["ttft_s", "tpot_s", "output_tok_per_s"]
Unlike = Literal["engine", "architecture", "answers"]
"""Of what no point is at all; `answers`: of answers as short as these."""
ELSEWHERE: Final = frozenset({"engine", "none", "kernels"})
"""Tiers in which a card may be of an architecture that was never measured."""


class Calibration(Struct, frozen=True, kw_only=True):
    """What an engine gets out of a card, from measurements whose source is named; empty names stand for all."""

    kind: Kind
    engine: str = ""
    gpu: str = ""
    precision: str = ""
    version: str = ""
    parameters: Parameters
    models: tuple[str, ...] = ()
    """Keys of the models that were measured."""
    points: int
    measured: str = ""
    """The months of the measurements: `2025-10` or `2025-10…2026-03`."""
    source: str
    licence: str = ""
    own: bool = False
    """From the user's own runs, which win over all others."""
    kernels: bool = False
    """Step times are those of measured kernels; no point of the engine on the card was measured."""

    @property
    def key(self) -> Key:
        """What it stands for."""
        return Key(self.kind, self.engine, self.gpu, self.precision, self.version)


class Spread(Struct, frozen=True, kw_only=True):
    """How far measured figures lay from predicted ones when nothing as near as `tier` had been seen: 90 % within a
    factor.

    A figure of 100 with a factor of 1.25 lies between 80 and 125. None: too few points to tell.
    """

    tier: Tier
    kind: Kind
    engine: str = ""
    gpu: str = ""
    precision: str = ""
    version: str = ""
    waits: bool
    """For users beyond those that the cache holds, who wait for a place."""
    elsewhere: bool = False
    """For cards of an architecture that no shipped point is of: how far the shipped points are from what GeForce and
    Ampere cards gave under engines of 2024-09, two years of engine work included."""
    users: int = 1
    """From so many users on, up to the next row of any key; 0: all, where a part of them has too few points."""
    own: bool = False
    """For a fit of the user's own levels: how far two levels of a curve, with other cards as prior, miss the rest."""
    ttft_s: float | None = None
    tpot_s: float | None = None
    output_tok_per_s: float | None = None
    points: int
    """That were held out."""

    @property
    def group(self) -> Group:
        """What it was found on."""
        return Group(Key(self.kind, self.engine, self.gpu, self.precision, self.version), self.waits, self.users)


class Chosen(NamedTuple):
    """The calibration for a prediction, and how near it stands."""

    calibration: Calibration
    tier: Tier
    spreads: tuple[Spread, ...]

    @property
    def efficiency(self) -> Efficiency:
        """For `step_time`."""
        return self.calibration.parameters.efficiency

    @property
    def waiting(self) -> Waiting:
        """For `closed_loop`."""
        return self.calibration.parameters.waiting

    @property
    def unlike(self) -> tuple[Unlike, ...]:
        """Of what no point was measured: intervals are then as wide as on what was most unlike."""
        engine: tuple[Unlike, ...] = ("engine",) if self.tier == "none" else ()
        return (*engine, "architecture") if any(row.elsewhere for row in self.spreads) else engine

    def factor(self, figure: Figure, *, bound: Bound, users: int) -> float | None:
        """The half-width of a figure's 90 % interval as a factor; None where nothing tells how wrong it may be."""
        known = {row.group: width for row in self.spreads if (width := getattr(row, figure))}
        return nearest_of(Group(self.calibration.key, bound == "kv", users), known)


def choose(
    model: ModelShape,
    gpu: Gpu,
    *,
    engine: str,
    version: str = "",
    own: Sequence[Calibration] = (),
    kernels: Sequence[Calibration] = (),
    shipped: Sequence[Calibration] | None = None,
) -> Chosen:
    """The nearest calibration: the user's own runs first, then kernels of the card, then the deepest of the table.

    Without a version, what stands for all of the engine's versions on the card, else its newest.
    """
    kind: Kind = "experts" if model.experts else "dense"
    wanted = Key(kind, engine, gpu.key, model.measured_as, version)
    table = calibrations() if shipped is None else shipped
    of_card = [row for row in (*own, *kernels) if (row.kind, row.engine, row.gpu) == (kind, engine, gpu.key)]
    for rows in ([row for row in of_card if row.own], [row for row in of_card if row.kernels], table):
        if found := _nearest(wanted, rows):
            tier = _tier(found, model, gpu, engine, rows)
            elsewhere = tier in ELSEWHERE and gpu.arch not in _measured_architectures()
            case = (tier, kind, elsewhere, found.own and tier == "same")
            held = [row for row in spreads() if (row.tier, row.kind, row.elsewhere, row.own) == case]
            return Chosen(found, tier, tuple(held))
    raise LookupError(f"no calibration stands for models of the kind {kind}")


def _nearest(wanted: Key, rows: Iterable[Calibration]) -> Calibration | None:
    table = {row.key: row for row in rows}
    if not wanted.version:
        versions = [row for row in table.values() if row.version and row.key[:4] == wanted[:4]]
        if versions and wanted not in table:
            return max(versions, key=lambda row: (row.measured[-7:], row.points))
    key = nearest(wanted, table)
    return table[key] if key else None


def _tier(found: Calibration, model: ModelShape, gpu: Gpu, engine: str, rows: Iterable[Calibration]) -> Tier:
    if found.kernels:
        return "kernels"
    if found.gpu and model.key in found.models and found.precision:
        return "same"
    if any(row.engine == engine and row.gpu == gpu.key for row in rows):
        return "card"
    return "engine" if found.engine else "none"


_PARAMETERS: Final = (*Efficiency.__struct_fields__, *Waiting.__struct_fields__)


@functools.cache
def calibrations() -> tuple[Calibration, ...]:
    """The shipped table; benchmarks/predict_fit.py makes it."""
    return tuple(_calibration(row) for row in read_rows("calibrations.csv"))


@functools.cache
def spreads() -> tuple[Spread, ...]:
    """How wrong the shipped table's predictions were on what each had not seen."""
    return tuple(msgspec.convert(dict(row), Spread, strict=False) for row in read_rows("spreads.csv"))


@functools.cache
def _measured_architectures() -> frozenset[str]:
    return frozenset(find_gpu(row.gpu).arch for row in calibrations() if row.gpu)


def rows_of(table: Iterable[Calibration]) -> list[dict[str, str]]:
    """The table as lines of calibrations.csv."""
    return [_line(row) for row in table]


def _line(row: Calibration) -> dict[str, str]:
    line = {name: str(getattr(row, name)) for name in (*Key._fields, "points", "measured", "source", "licence")}
    found = row.parameters
    values: Mapping[str, float] = MappingProxyType(
        {name: getattr(found.efficiency, name) for name in Efficiency.__struct_fields__}
        | {name: getattr(found.waiting, name) for name in Waiting.__struct_fields__}
    )
    return line | {"models": ";".join(row.models)} | {name: f"{values[name]:.4g}" for name in _PARAMETERS}


def _calibration(row: Mapping[str, str]) -> Calibration:
    fields: dict[str, object] = {name: value for name, value in row.items() if name not in _PARAMETERS}
    values = {name: float(row[name]) for name in _PARAMETERS}
    waiting = {name: values.pop(name) for name in Waiting.__struct_fields__}
    fields["models"] = tuple(filter(None, row.get("models", "").split(";")))
    fields["parameters"] = Parameters(efficiency=Efficiency(**values), waiting=Waiting(**waiting))
    return msgspec.convert(fields, Calibration, strict=False)
