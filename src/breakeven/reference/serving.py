"""Serving points that others measured: one model, card, engine and closed loop each, TTFT and TPOT in tokens."""

import functools
from typing import Final, Literal

from msgspec import Struct

from breakeven.reference.fleet import rows_of

NAME: Final = "aiconfigurator-0.12"
LICENCE: Final = "Apache-2.0"


PEER: Final = "aiconfigurator 0.12.0"
"""NVIDIA, Apache-2.0. Asked on 2026-11-29 about 120 of the points, H100 and H200, dense models, drawn with seed 1; told
the mean lengths, the users as its batch, the cards and the precision."""
Settings = tuple[str, str, str, str, str, str, tuple[int, ...]]


class _Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was served, on what, to how many."""

    model: str
    """A key of the table of models."""
    gpu: str
    engine: str
    version: str = ""
    measured: str = ""
    origin: Literal["inferencex", "aiconfigurator", "run"]
    precision: str
    kv_bits: int
    tp: int
    input_tokens: int
    output_tokens: int
    users: int

    @property
    def settings(self) -> Settings:
        """What a point and the peer's answer about it are the same in."""
        sizes = (self.kv_bits, self.tp, self.input_tokens, self.output_tokens, self.users)
        return self.model, self.gpu, self.engine, self.version or self.measured, self.origin, self.precision, sizes


class ServingPoint(_Setting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of serving.csv; how each is made stands in benchmarks/make_serving_points.py."""

    ttft_ms: float
    tpot_ms: float
    points: int


class PeerPoint(_Setting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What PEER predicts for the settings of a point; benchmarks/predict_peer.py asked it."""

    peer_ttft_ms: float | None = None
    """None where it refused the point."""
    peer_tpot_ms: float | None = None
    peer_error: str = ""


class HeldOutRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of misses.csv: a point that was predicted by a fit that saw nothing as near as `tier`."""

    tier: Literal["same", "card", "engine", "none", "kernels"]
    point: int
    """Its line of serving.csv, from 0."""
    bound: str
    ttft_s: float | None = None
    """log(measured / predicted); None where the point does not fit on its cards by our count."""
    tpot_s: float | None = None
    output_tok_per_s: float | None = None


@functools.cache
def serving_points() -> tuple[ServingPoint, ...]:
    """All points of the table, in its order."""
    return rows_of("serving.csv", ServingPoint)


@functools.cache
def peer_points() -> tuple[PeerPoint, ...]:
    """All that it was asked."""
    return rows_of("peer.csv", PeerPoint)


@functools.cache
def held_out_rows() -> tuple[HeldOutRow, ...]:
    """Every point in each tier."""
    return rows_of("misses.csv", HeldOutRow)
