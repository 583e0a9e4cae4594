"""Quotes: their kinds, dates and sources; files of them; Nosana's markets; the printed table."""

import contextlib
import datetime
import itertools
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakeven.errors import UsageError
from breakeven.prices import (
    KINDS,
    PRICES,
    Quote,
    is_old,
    known_quotes,
    newest_quote,
    old_warning,
    quote_range,
    quotes_csv,
    quotes_for,
    read_quotes,
)
from breakeven.prices.nosana import market_quotes, markets
from breakeven.prices.shipped import shipped_quotes
from breakeven.registry import load
from breakeven.report.facttables import price_table

TODAY = datetime.date(2026, 11, 23)


def a_quote(**changes: Any) -> Quote:
    fields: dict[str, Any] = {
        "gpu": "rtx4090",
        "provider": "me",
        "usd_per_h_card": 0.30,
        "kind": "ask",
        "as_of": TODAY,
        "source": "my invoice",
    }
    return Quote(**(fields | changes))


@pytest.mark.parametrize("name", [name for name in PRICES if name not in ("skypilot", "gpuhunt")])
def test_every_price_source_without_network_gives_quotes_with_date_and_source(name: str) -> None:
    fetched = cast("Any", load("price source", PRICES, name))(today=TODAY)
    assert fetched.quotes
    assert all(quote.source and quote.usd_per_h_card > 0 for quote in fetched.quotes)
    assert any("older than 30 days" in note for note in fetched.notes)


def test_every_shipped_quote_names_a_gpu_of_the_table() -> None:
    for quote in known_quotes():
        assert quote in quotes_for(quote.gpu, known_quotes(), kind=quote.kind)


def test_the_article_s_a100_rent_is_there_with_its_date() -> None:
    quotes = quotes_for("a100-80", known_quotes(), kind="ask")
    article = [quote for quote in quotes if quote.provider == "crusoe"]
    assert [(quote.usd_per_h_card, quote.as_of) for quote in article] == [(1.65, datetime.date(2024, 9, 13))]


def test_a_quote_of_a_group_counts_for_its_members_but_not_the_other_way_to_a_sibling() -> None:
    pcie, group = a_quote(gpu="a100-80-pcie"), a_quote(gpu="a100-80")
    assert quotes_for("a100-80-sxm", [pcie, group]) == (group,)
    assert quotes_for("a100-80", [pcie, group]) == (group, pcie)


def test_an_unknown_gpu_is_an_error_and_never_a_price_of_nothing() -> None:
    with pytest.raises(UsageError, match="no GPU is called 'rtx9999'; near names"):
        quotes_for("rtx9999", known_quotes())
    with pytest.raises(UsageError, match="no GPU is called 'rtx9999'"):
        price_table(known_quotes(), today=TODAY, gpu="rtx9999")


def test_a_known_gpu_without_a_quote_has_none_and_says_so() -> None:
    assert quotes_for("cmp90hx", known_quotes()) == ()
    assert price_table(known_quotes(), today=TODAY, gpu="cmp90hx").startswith(
        "No quote is known for cmp90hx; give your"
    )


def test_quotes_come_by_kind_and_then_by_price() -> None:
    dear, cheap, payout = a_quote(usd_per_h_card=2.0), a_quote(usd_per_h_card=1.0), a_quote(kind="payout")
    assert quotes_for("rtx4090", [payout, dear, cheap]) == (cheap, dear, payout)
    assert quotes_for("rtx4090", [payout, dear, cheap], kind="payout") == (payout,)


@pytest.mark.parametrize(("days", "old"), [(0, False), (30, False), (31, True), (-5, False)])
def test_a_quote_is_old_after_thirty_days(days: int, old: bool) -> None:
    assert is_old(a_quote(as_of=TODAY - datetime.timedelta(days=days)), today=TODAY) is old


def test_the_warning_counts_old_quotes_and_is_silent_for_fresh_ones() -> None:
    old = a_quote(as_of=TODAY - datetime.timedelta(days=40))
    warning = old_warning([old, a_quote()], today=TODAY)
    assert warning is not None
    assert warning.startswith("1 of 2 quotes are older than 30 days (the oldest: 40 days)")
    assert old_warning([a_quote()], today=TODAY) is None


def test_the_table_shows_date_age_source_and_the_meaning_of_each_kind() -> None:
    old = a_quote(as_of=datetime.date(2026, 10, 1), source="a flyer")
    text = price_table([old, a_quote(kind="payout", usd_per_h_card=0.2)], today=TODAY)
    assert "GPU      kind     USD/h  market  offer  region  cards ≥  as of       days  from" in text
    assert "rtx4090  ask     0.3000  me                           1  2026-10-01   53*   [1]" in text
    assert "[1] a flyer" in text
    assert "[2] my invoice" in text
    assert KINDS["payout"] in text
    assert KINDS["spot"] not in text
    assert "caution: 1 of 2 quotes are older than 30 days" in text


def test_everything_that_is_known_fits_a_terminal_of_120_columns() -> None:
    long = a_quote(region="a region " * 9, source="a source that has much to say " * 9, tier="premium")
    assert max(len(line) for line in price_table([*known_quotes(), long], today=TODAY).splitlines()) <= 120


def test_a_quote_says_how_many_cards_must_be_taken_and_where() -> None:
    text = price_table([a_quote(cards_at_least=8, region="Finland 3")], today=TODAY)
    assert "me             Finland 3        8  2026-11-23" in text
    assert "how many must be taken to pay that price a card" in text


DAY = datetime.timedelta(days=1)


def test_the_newest_quote_is_the_cheapest_for_one_card_of_its_day() -> None:
    quotes = [
        a_quote(usd_per_h_card=0.1, as_of=TODAY - DAY),
        a_quote(usd_per_h_card=0.2, cards_at_least=8),
        a_quote(usd_per_h_card=0.4, provider="dear"),
        a_quote(usd_per_h_card=0.3),
        a_quote(usd_per_h_card=0.05, kind="spot"),
        a_quote(usd_per_h_card=0.01, gpu="rtx3090"),
    ]
    assert newest_quote("RTX 4090", quotes) == quotes[3]
    assert newest_quote("rtx4090", quotes, kind="spot") == quotes[4]
    assert newest_quote("rtx4090", quotes[:2]) == quotes[1]
    assert newest_quote("rtx4090", quotes, kind="median") is None


@pytest.mark.parametrize("name", ["rtx9999", "", "x\n" * 999])
def test_a_name_that_is_not_known_has_no_newest_quote_and_no_range(name: str) -> None:
    assert newest_quote(name, [a_quote()]) is None
    assert quote_range(name, [a_quote(), a_quote(usd_per_h_card=1.0)]) is None


def test_a_quote_of_a_group_counts_only_where_none_names_the_card() -> None:
    group, sibling = a_quote(gpu="a100-80", usd_per_h_card=0.5), a_quote(gpu="a100-80-pcie", usd_per_h_card=0.6)
    wide, own = a_quote(gpu="a100", usd_per_h_card=0.1), a_quote(gpu="a100-80-sxm", usd_per_h_card=1.6)
    assert newest_quote("a100-80-sxm", [group, sibling, own]) == own
    assert newest_quote("a100-80-sxm", [group, sibling]) == group
    assert newest_quote("a100-80", [wide, sibling, own]) == sibling
    assert newest_quote("a100-80", [wide]) == wide
    assert newest_quote("a100-80-sxm", [sibling]) is None


def test_equal_quotes_are_chosen_from_in_one_way_whatever_their_order() -> None:
    quotes = [a_quote(provider=provider, region=region) for provider in "ba" for region in "zy"]
    for order in itertools.permutations(quotes):
        assert newest_quote("rtx4090", order) == a_quote(provider="a", region="y")


def test_the_range_holds_what_is_within_ninety_days_of_the_newest_quote() -> None:
    low, high = a_quote(usd_per_h_card=0.2, as_of=TODAY - 90 * DAY), a_quote(usd_per_h_card=0.4)
    old = a_quote(usd_per_h_card=0.1, as_of=TODAY - 91 * DAY)
    payout = a_quote(usd_per_h_card=0.01, kind="payout")
    assert quote_range("RTX 4090", [old, high, payout, low]) == (low, high)
    assert quote_range("RTX 4090", [old, high], within_days=91) == (old, high)


@pytest.mark.parametrize("prices", [[], [0.3], [0.3, 0.3]])
def test_fewer_than_two_prices_make_no_range(prices: list[float]) -> None:
    quotes = [a_quote(usd_per_h_card=price, provider=str(at)) for at, price in enumerate(prices)]
    assert quote_range("rtx4090", quotes) is None


def test_the_cards_that_people_rent_have_asks_of_several_markets() -> None:
    new = [q for q in shipped_quotes() if q.kind == "ask" and q.as_of.year == 2026]
    assert len({quote.gpu for quote in new}) >= 20
    assert len({quote.provider for quote in new}) >= 4
    wanted = (
        *("b200-sxm", "h200-sxm", "mi300x", "l40s", "a100-80-pcie", "a100-80-sxm", "h100-pcie", "h100-sxm", "h100-nvl"),
        *("rtx4090", "rtx5090", "rtx3090", "a40", "rtxpro6000-server"),
    )
    for gpu in wanted:
        assert any(quote.gpu == gpu for quote in new), gpu
    assert all("SkyPilot catalogue" in quote.source and " at " in quote.source for quote in new)


def test_the_table_of_fresh_quotes_has_no_caution() -> None:
    assert "caution" not in price_table([a_quote()], today=TODAY)


def test_what_is_shipped_survives_being_written_and_read() -> None:
    assert read_quotes(quotes_csv(known_quotes()), where="saved.csv") == known_quotes()


HEAD = "gpu,provider,usd_per_h_card,kind,as_of,source\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gpu,provider\n", "column usd_per_h_card is missing"),
        ("", "column gpu is missing"),
        (HEAD.replace("source", "source,colour"), "no column is called 'colour'"),
        (HEAD + "rtx4090,me,0.3,bid,2026-11-23,x\n", r"mine.csv, line 2: Invalid enum value 'bid' - at `\$.kind`"),
        (HEAD + "rtx4090,me,0,ask,2026-11-23,x\n", "line 2: 0 USD per hour is no price"),
        (HEAD + "rtx4090,me,-1,ask,2026-11-23,x\n", "line 2: -1 USD per hour is no price"),
        (HEAD + "rtx4090,me,nan,ask,2026-11-23,x\n", "line 2: nan USD per hour is no price"),
        (HEAD + "rtx4090,me,cheap,ask,2026-11-23,x\n", r"line 2: Expected `float`, got `str` - at `\$.usd_per_h_card`"),
        (HEAD + "rtx4090,me,0.3,ask,23.11.2026,x\n", r"line 2: Invalid RFC3339 encoded date - at `\$.as_of`"),
        (
            HEAD.replace("source", "source,cards_at_least") + "rtx4090,me,0.3,ask,2026-11-23,x,0\n",
            r"line 2: Expected `int` >= 1 - at `\$.cards_at_least`",
        ),
        (HEAD + "gtx480,me,0.3,ask,2026-11-23,x\n", "line 2: no GPU is called 'gtx480'"),
        (HEAD + "rtx4090,me,0.3,ask,2026-11-23\n", "line 2: the line has more or fewer cells"),
        (HEAD + "rtx4090,me,0.3,ask,2026-11-23,x,y\n", "line 2: the line has more or fewer cells"),
        (HEAD + '"rtx4090\n', "mine.csv, line 1: unexpected end of data"),
    ],
)
def test_a_mistake_in_a_price_file_is_one_line_that_says_where(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        read_quotes(text, where="mine.csv")


def test_a_file_of_before_there_were_regions_is_still_read() -> None:
    old = "gpu,provider,tier,usd_per_h_card,kind,stat,as_of,source\nrtx4090,me,,0.3,ask,,2026-11-23,my invoice\n"
    assert read_quotes(old, where="old.csv") == (a_quote(),)
    empty = "gpu,provider,tier,region,cards_at_least,usd_per_h_card,kind,stat,as_of,source\n"
    assert read_quotes(empty + "rtx4090,me,,,,0.3,ask,,2026-11-23,my invoice\n", where="x") == (a_quote(),)


def test_a_user_s_file_may_leave_out_what_was_not_known_or_not_yet_a_column() -> None:
    assert read_quotes(HEAD + "4090,me,0.3,ask,2026-11-23,my invoice\n", where="x") == (a_quote(gpu="4090"),)


@given(st.text(max_size=200))
def test_no_text_at_all_makes_the_price_reader_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(UsageError):
        read_quotes(HEAD + text, where="x")


def test_nosana_s_ask_is_its_payout_and_ten_percent() -> None:
    asks = {(q.gpu, q.tier): q.usd_per_h_card for q in market_quotes() if q.kind == "ask"}
    payouts = {(q.gpu, q.tier): q.usd_per_h_card for q in market_quotes() if q.kind == "payout"}
    assert asks.keys() == payouts.keys()
    for market, ask in asks.items():
        assert ask == pytest.approx(1.10 * payouts[market], rel=0.01)


def test_a_market_of_eight_cards_is_quoted_per_card() -> None:
    eight = [quote for quote in market_quotes() if quote.cards_at_least == 8 and quote.kind == "ask"]
    assert [(quote.gpu, quote.usd_per_h_card) for quote in eight] == [("h100", 20.02 / 8)]


def test_every_market_lends_a_gpu_of_the_table() -> None:
    assert len(markets()) == 26
    for market in markets():
        quotes_for(market.gpu, ())


def test_the_docs_name_every_kind_and_every_source_of_quotes() -> None:
    facts = (Path(__file__).parents[1] / "docs" / "FACTS.md").read_text(encoding="utf-8")
    for kind, meaning in KINDS.items():
        assert f"| `{kind}` | {meaning} |" in facts
    for source in PRICES:
        assert f"- `{source}`: " in facts


def test_the_price_file_in_the_docs_can_be_read() -> None:
    lines = (Path(__file__).parents[1] / "docs" / "FACTS.md").read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("      gpu,provider"))
    [quote] = read_quotes("\n".join(line.strip() for line in lines[start : start + 2]), where="docs")
    assert (quote.gpu, quote.usd_per_h_card, quote.as_of) == ("rtx4090", 0.29, datetime.date(2026, 11, 20))
