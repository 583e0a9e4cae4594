"""Serving points that others measured: one model, card, engine and closed loop each, TTFT and TPOT in tokens."""

import functools
from typing import Final, Literal

import msgspec
from msgspec import Struct

from breakeven.reference.fleet import read_rows

NAME: Final = "aiconfigurator-0.12"
SOURCE: Final = (
    "medians of silicon_sample.csv in aiconfigurator-core 0.12.0 (NVIDIA, Apache-2.0), "
    "among them InferenceX's public dumps"
)
LICENCE: Final = "Apache-2.0"
FAULTS: Final = (
    "Whether TTFT and TPOT are means or medians, and how many answers stand behind them, is not in the data.",
    "InferenceX draws lengths up to the nominal one; the points call it by the nominal one.",
    "Engine versions are missing in the older rows; the month in which they were measured stands for them.",
)


class ServingPoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of serving.csv; how each is made stands in benchmarks/make_serving_points.py."""

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
    ttft_ms: float
    tpot_ms: float
    points: int


@functools.cache
def serving_points() -> tuple[ServingPoint, ...]:
    """All points of the table, in its order."""
    return tuple(msgspec.convert(fields, ServingPoint, strict=False) for fields in read_rows("serving.csv"))
