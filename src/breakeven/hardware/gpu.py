"""The GPU table: what each card is on paper, with source and confidence a row; it is data, in gpus.csv, and what its
architecture multiplies in architectures.csv."""

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec import Struct

Numbers = Literal["fp16", "bf16", "int8", "fp8", "fp4"]
"""Of which matrix cores make products."""


class Gpu(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One GPU on paper: dense rates (no sparsity), None where no source was found. Measured numbers are elsewhere.

    A tensor rate depends on what the products are summed in. GeForce cards sum FP16 products in FP32 at half the
    rate at which they sum them in FP16, so the two stand in two columns; engines sum in FP32.
    """

    key: str
    name: str
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Names that stand for several rows at once, such as `h100` for the PCIe and the SXM card."""
    vendor: str
    arch: str
    multiplies: tuple[Numbers, ...]
    """What its matrix cores take, by its architecture."""
    widens: tuple[str, ...] = ()
    """Precisions of weights whose numbers they do not take, and that kernels of engines widen to 16 bits there."""
    vram_gb: float
    """As the vendor states it."""
    mem_bw_gb_per_s: float
    bf16_fp32acc_tflop_per_s: float | None = None
    fp16_fp16acc_tflop_per_s: float | None = None
    fp8_fp32acc_tflop_per_s: float | None = None
    fp4_tflop_per_s: float | None = None
    """Dense NVFP4: where a source was found (InferenceX, NVIDIA's own sheets as aiconfigurator-core 0.12.0 quotes
    them)."""
    int8_top_per_s: float | None = None
    link: str | None = None
    """How cards of one box speak with each other where no bridge is bought: PCIe by generation and lanes, else its
    name."""
    link_gb_per_s: float | None = None
    """One direction: of PCIe 1, 2, 4 GB/s a lane in 3.0, 4.0, 5.0; of NVLink and Infinity Fabric half the vendor's
    total."""
    tdp_w: float
    launch: str | None = None
    """Year and month in which it could be bought, or the quarter; not the day on which it was announced."""
    launch_price_usd: float | None = None
    """A fact of that month, for the table only: it is never the default of a purchase price."""
    price_kind: Literal["MSRP", "estimate"] | None = None
    confidence: Literal["A", "B", "C"]
    """A: the vendor's own document. B: calculated from published clocks, or second hand. C: sources disagree."""
    source: str


@functools.cache
def gpus() -> Mapping[str, Gpu]:
    """The table, by key, in the order of the file."""
    able = {row["arch"]: row for row in _rows("architectures.csv")}
    return MappingProxyType({row["key"]: _gpu(row, able[row["arch"]]) for row in _rows("gpus.csv")})


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("breakeven.hardware").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _gpu(row: Mapping[str, str], able: Mapping[str, str]) -> Gpu:
    fields: dict[str, object] = {name: value for name, value in row.items() if value}
    for of, names in ((row, ("aliases", "groups")), (able, ("multiplies", "widens"))):
        fields |= {name: tuple(filter(None, of[name].split(";"))) for name in names}
    return msgspec.convert(fields, Gpu, strict=False)
