"""The command mix: the cheapest whole-number mix of cards and engines for a load."""

from pathlib import Path

import msgspec
from msgspec import Struct

from breakeven.app.level import Level
from breakeven.app.prices import quotes
from breakeven.app.printed import put_out
from breakeven.app.report import load_run
from breakeven.app.runs import read_text
from breakeven.errors import UsageError
from breakeven.findings.names import unit
from breakeven.findings.offers import PriceBook, offers_of
from breakeven.mix.answer import mix_report
from breakeven.mix.loadfile import problems, read_load
from breakeven.mix.text import render, to_json
from breakeven.mix.types import Load, LoadClass, Wanted
from breakeven.prices import read_quotes


class MixRequest(Struct, frozen=True, kw_only=True):
    """What `breakeven mix` was asked."""

    runs: tuple[str, ...]
    users: int | None = None
    load: Path | None = None
    hours: tuple[float, ...] = ()
    prices: Path | None = None
    own_prices: dict[str, float] = {}
    spot_away_share: float | None = None
    wanted: Wanted = Wanted()


def mix(request: MixRequest, level: Level, *, json_to: str | None) -> int:
    """Find the mix and print it."""
    load, service = _load(request), level.service("mix")
    own = () if request.prices is None else read_quotes(read_text(request.prices), where=str(request.prices))
    book = PriceBook(quotes=(*quotes(), *own), own=request.own_prices, spot_away_share=request.spot_away_share)
    runs = [load_run(text).run for text in request.runs]
    offers, left = offers_of(runs, load, level=service, book=book)
    at = service.text(unit=f"{unit(runs[0].run)}/s")
    report = mix_report(offers, load, at=at, wanted=request.wanted, left_out=left)
    put_out(render(report), as_json=to_json(report), json_to=json_to)
    return 0


def _load(request: MixRequest) -> Load:
    if (request.users is None) == (request.load is None):
        raise UsageError("mix: say the load: --users N, or --load FILE")
    if request.load is None:
        if request.users is None or request.users < 1:
            raise UsageError(f"mix: --users {request.users}: give a number above 0")
        load = Load(classes=(LoadClass(users=request.users),), hours=request.hours)
        for problem in problems(load):
            raise UsageError(f"mix: {problem}")
        return load
    read = read_load(read_text(request.load), where=str(request.load))
    if request.hours and read.hours:
        raise UsageError(f"mix: --hours and {request.load} both say the hours; leave one out")
    load = msgspec.structs.replace(read, hours=request.hours or read.hours)
    for problem in problems(load):
        raise UsageError(f"mix: {problem}")
    return load
