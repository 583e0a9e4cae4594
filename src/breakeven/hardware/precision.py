"""Precisions of weights: what they take, and in which numbers a card multiplies them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from breakeven.errors import UsageError
from breakeven.hardware.gpu import Gpu, Numbers


class Precision(NamedTuple):
    """How weights are kept, and in which numbers they are multiplied."""

    weight_bits: float
    """Scales of groups included."""
    products: Numbers
    """16 bits where weights are widened before they are multiplied, fp16 where either kind will do."""
    covers: Literal["linear", "experts", "all"] = "linear"
    """`linear`: all matrices of the layers; `experts`: those of the experts only; `all`: embeddings too. The rest has
    16."""


PRECISIONS: Final[Mapping[str, Precision]] = MappingProxyType(
    {
        "bf16": Precision(16, "bf16"),
        "fp16": Precision(16, "fp16"),
        "fp8": Precision(8, "fp8"),
        "int8": Precision(8, "int8"),
        "int4": Precision(4.25, "fp16"),
        "mxfp4": Precision(4.25, "bf16", "experts"),
        "nvfp4": Precision(4.5, "fp4"),
        "q8_0": Precision(8.5, "fp16", "all"),
        "q4_k_m": Precision(4.85, "fp16", "all"),
        "q4_1": Precision(5, "fp16", "all"),
    }
)
"""4.25: four bits and a 16-bit scale and offset for 128 weights (AWQ, GPTQ), or an 8-bit scale for 32 (OCP MX 1.0).
4.5: an 8-bit scale for 16 (NVFP4). q8_0, q4_1, q4_k_m: GGUF's, with the scales of its blocks."""
SIXTEEN: Final[frozenset[Numbers]] = frozenset({"bf16", "fp16"})


def precision_on(gpu: Gpu, precision: str) -> str | None:
    """As what a card runs weights of a precision: the same, or fp16 where it has no bf16.

    None where it neither multiplies them nor has kernels that widen them.
    """
    if PRECISIONS[precision].products in gpu.multiplies or precision in gpu.widens:
        return precision
    return "fp16" if precision == "bf16" else None


def products_on(gpu: Gpu, products: Numbers) -> Numbers:
    """In what a card multiplies: 16 bits where it has no such numbers."""
    if products in gpu.multiplies:
        return products
    return "bf16" if "bf16" in gpu.multiplies else "fp16"


def peak_flop_per_s(gpu: Gpu, products: Numbers) -> float:
    """The dense rate of products of such numbers, floats summed in FP32; that of wider ones where nobody has published
    it.

    UsageError for a card of which no rate is known.
    """
    wide = gpu.bf16_fp32acc_tflop_per_s or gpu.fp16_fp16acc_tflop_per_s
    eight = gpu.fp8_fp32acc_tflop_per_s
    rates = {"fp4": (gpu.fp4_tflop_per_s, eight, wide), "fp8": (eight, wide), "int8": (gpu.int8_top_per_s, wide)}
    rate = next(filter(None, rates.get(products_on(gpu, products), (wide,))), None)
    if rate is None:
        raise UsageError(f"{gpu.key}: its tensor rate is not known, so no time can be predicted; measure this card")
    return rate * 1e12
