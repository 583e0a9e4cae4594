"""What `breakeven gpus` prints: the table, or one card with its sources."""

from typing import Final

from breakeven.hardware.columns import Align, columns, number
from breakeven.hardware.gpu import Gpu, gpus
from breakeven.hardware.names import find_gpus

_HEAD: Final = ("key", "name", "GB", "GB/s", "BF16", "FP16", "FP8", "W", "launch", "USD then", "conf.")
_ALIGN: Final[tuple[Align, ...]] = ("<", "<", ">", ">", ">", ">", ">", ">", "<", ">", "<")
_LEGEND: Final = """
GB, GB/s: memory and its bandwidth. BF16, FP16, FP8: dense TFLOP/s; BF16 and FP8 summed in FP32 (what engines do), FP16
summed in FP16. W: board power limit. USD then: price at launch (~ an estimate), never used as a default. -: no source.
conf.: A the vendor's own document, B calculated or second hand, C sources disagree.
`breakeven gpus NAME` gives the sources of a row."""


def table_text(name: str | None = None) -> str:
    """The table, or with `name` every row that it may mean, with sources; UsageError for an unknown name."""
    if name is not None:
        return "\n\n".join(_card(gpu) for gpu in find_gpus(name)) + "\n"
    rows = [_HEAD, *(_row(gpu) for gpu in gpus().values())]
    return "\n".join(columns(rows, align=_ALIGN)) + "\n" + _LEGEND + "\n"


def _row(gpu: Gpu) -> tuple[str, ...]:
    rates = (gpu.bf16_fp32acc_tflop_per_s, gpu.fp16_fp16acc_tflop_per_s, gpu.fp8_fp32acc_tflop_per_s)
    return (
        *(gpu.key, gpu.name, number(gpu.vram_gb), number(gpu.mem_bw_gb_per_s)),
        *(number(rate, digits=1) for rate in rates),
        *(number(gpu.tdp_w), gpu.launch or "-", _price(gpu), gpu.confidence),
    )


def _price(gpu: Gpu) -> str:
    about = "~" if gpu.price_kind == "estimate" else ""
    return about + number(gpu.launch_price_usd)


def _card(gpu: Gpu) -> str:
    facts = {
        "key": gpu.key,
        "other names": ", ".join(gpu.aliases) or "-",
        "belongs to": ", ".join(gpu.groups) or "-",
        "maker": f"{gpu.vendor}, {gpu.arch}, launched {gpu.launch or 'at an unknown date'}",
        "memory": f"{gpu.vram_gb:g} GB at {gpu.mem_bw_gb_per_s:g} GB/s",
        "BF16": f"{number(gpu.bf16_fp32acc_tflop_per_s, digits=1)} TFLOP/s dense, summed in FP32",
        "FP16": f"{number(gpu.fp16_fp16acc_tflop_per_s, digits=1)} TFLOP/s dense, summed in FP16",
        "FP8": f"{number(gpu.fp8_fp32acc_tflop_per_s, digits=1)} TFLOP/s dense, summed in FP32",
        "INT8": f"{number(gpu.int8_top_per_s, digits=1)} TOP/s dense",
        "power": f"{gpu.tdp_w:g} W board power limit",
        "price then": f"{_price(gpu)} USD at launch ({gpu.price_kind or 'none published'}); never used as a default",
        "confidence": gpu.confidence,
        "source": gpu.source,
    }
    return "\n".join((gpu.name, *(f"  {label:<12} {text}" for label, text in facts.items())))
