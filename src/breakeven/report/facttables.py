"""Facts as plain tables: what `breakeven gpus` and `breakeven prices` print."""

import datetime
from collections.abc import Sequence
from typing import Final

from breakeven.errors import one_line
from breakeven.hardware import Gpu, find_gpus, gpus
from breakeven.prices import KINDS, Quote, age_days, is_old, old_warning, quotes_for
from breakeven.say import number, room, wrapped
from breakeven.table import Column, Table, lines

_GPU_COLUMNS: Final = (
    Column("key", align="left"),
    Column("name", align="left", goes=1),
    *(Column("GB"), Column("GB/s"), Column("BF16"), Column("FP16", goes=3), Column("FP8"), Column("W")),
    *(Column("launch", align="left", goes=2), Column("USD then", goes=2), Column("conf.", align="left", goes=2)),
)
_GPU_LEGEND: Final = """
GB, GB/s: memory and its bandwidth. BF16, FP16, FP8: dense TFLOP/s; BF16 and FP8 summed in FP32 (what engines do), FP16
summed in FP16. W: board power limit. USD then: price at launch (~ an estimate), never used as a default. -: no source.
conf.: A the vendor's own document, B calculated or second hand, C sources disagree.
`breakeven gpus NAME` gives the sources of a row."""


def gpu_table(name: str | None = None) -> str:
    """The table, or with `name` every row that it may mean, with sources; UsageError for an unknown name."""
    if name is not None:
        return "\n\n".join(_gpu_card(gpu) for gpu in find_gpus(name)) + "\n"
    table = Table(_GPU_COLUMNS, [_gpu_row(gpu) for gpu in gpus().values()])
    return "\n".join(lines(table, width=room())) + "\n" + _GPU_LEGEND + "\n"


def _gpu_row(gpu: Gpu) -> tuple[str, ...]:
    rates = (gpu.bf16_fp32acc_tflop_per_s, gpu.fp16_fp16acc_tflop_per_s, gpu.fp8_fp32acc_tflop_per_s)
    return (
        *(gpu.key, gpu.name, number(gpu.vram_gb), number(gpu.mem_bw_gb_per_s)),
        *(number(rate, digits=1) for rate in rates),
        *(number(gpu.tdp_w), gpu.launch or "-", _launch_price(gpu), gpu.confidence),
    )


def _launch_price(gpu: Gpu) -> str:
    about = "~" if gpu.price_kind == "estimate" else ""
    return about + number(gpu.launch_price_usd)


def _gpu_card(gpu: Gpu) -> str:
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
        "multiplies": ", ".join(gpu.multiplies) + (f"; {', '.join(gpu.widens)} are widened" if gpu.widens else ""),
        "power": f"{gpu.tdp_w:g} W board power limit",
        "price then": f"{_launch_price(gpu)} USD at launch ({gpu.price_kind or 'none found'}); never used as a default",
        "confidence": gpu.confidence,
        "source": gpu.source,
    }
    told = (line for label, text in facts.items() for line in _wrapped(f"  {label:<12} {text}", indent=15))
    return "\n".join((gpu.name, *told))


_QUOTE_COLUMNS: Final = (
    *(Column("GPU", align="left"), Column("kind", align="left"), Column("USD/h"), Column("market", align="left")),
    *(Column("offer", align="left", goes=2), Column("region", align="left", goes=3), Column("cards ≥", goes=1)),
    *(Column("as of", align="left"), Column("days", goes=4), Column("from")),
)
_REGION_WIDTH: Final = 14


def price_table(quotes: Sequence[Quote], *, today: datetime.date, gpu: str | None = None) -> str:
    """The table; with `gpu` only what may be for it. UsageError with near names for an unknown GPU."""
    shown = _in_order(quotes) if gpu is None else quotes_for(gpu, quotes)
    if not shown:
        return f"No quote is known for {gpu or 'any GPU'}; give your own price, or try `breakeven prices --refresh`.\n"
    numbers = {source: at for at, source in enumerate(dict.fromkeys(quote.source for quote in shown), start=1)}
    rows = [_quote_row(quote, today=today, source=numbers[quote.source]) for quote in shown]
    warning = old_warning(shown, today=today)
    parts = [
        *lines(Table(_QUOTE_COLUMNS, rows), width=room()),
        "",
        *(f"{kind:<9}  {meaning}" for kind, meaning in KINDS.items() if any(quote.kind == kind for quote in shown)),
        "Kinds answer different questions: compare prices of one kind only. * older than 30 days.",
        "USD/h: of one card. cards ≥: how many must be taken to pay that price a card.",
        "",
        *(line for source, at in numbers.items() for line in _wrapped(f"[{at}] {source}")),
        *(["", *_wrapped(f"caution: {warning}")] if warning else []),
    ]
    return "\n".join(parts) + "\n"


def _wrapped(text: str, *, indent: int = 4) -> list[str]:
    return wrapped(text, rest=" " * indent)


def _in_order(quotes: Sequence[Quote]) -> list[Quote]:
    kinds = list(KINDS)
    return sorted(quotes, key=lambda quote: (quote.gpu, kinds.index(quote.kind), quote.usd_per_h_card, quote.provider))


def _quote_row(quote: Quote, *, today: datetime.date, source: int) -> tuple[str, ...]:
    days = f"{age_days(quote, today=today)}{'*' if is_old(quote, today=today) else ' '}"
    return (
        *(quote.gpu, quote.kind, f"{quote.usd_per_h_card:.4f}", quote.provider, quote.tier),
        *(one_line(quote.region, limit=_REGION_WIDTH), str(quote.cards_at_least), quote.as_of.isoformat()),
        *(days, f"[{source}]"),
    )
