"""The command mix: the cheapest whole-number mix of cards and engines for a load."""

from pathlib import Path

from msgspec import Struct

from breakeven.app.level import Level
from breakeven.app.load import load_of
from breakeven.app.prices import quotes
from breakeven.app.printed import put_out
from breakeven.app.report import load_run
from breakeven.app.runs import read_text
from breakeven.findings.names import unit
from breakeven.findings.offers import PriceBook, offers_of
from breakeven.mix.answer import mix_report
from breakeven.mix.text import render, to_json
from breakeven.mix.types import MixReport, Wanted
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


def mix(request: MixRequest, level: Level, *, json_to: str | None, html_to: str | None) -> int:
    """Find the mix and print it."""
    load = load_of("mix", users=request.users, file=request.load, hours=request.hours)
    service = level.service("mix")
    own = () if request.prices is None else read_quotes(read_text(request.prices), where=str(request.prices))
    book = PriceBook(quotes=(*quotes(), *own), own=request.own_prices, spot_away_share=request.spot_away_share)
    runs = [load_run(text).run for text in request.runs]
    offers, left = offers_of(runs, load, level=service, book=book)
    at = service.text(unit=f"{unit(runs[0].run)}/s")
    report = mix_report(offers, load, at=at, wanted=request.wanted, left_out=left)
    put_out(render(report), told=to_json(report), json_to=json_to, page=lambda: _page(report), html_to=html_to)
    return 0


def _page(report: MixReport) -> str:
    from breakeven.report.mixpage import mix_page

    return mix_page(report)
