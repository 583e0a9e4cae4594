"""`breakeven mix`: from runs and quotes to the cheapest whole nodes, and what it says of how sure that is."""

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from breakeven.cli import main
from breakeven.cost.figures import SIDE
from breakeven.errors import BreakevenError, LimitMissedError, UsageError
from breakeven.findings.offers import PriceBook, offers_of
from breakeven.metrics.slo import ServiceLevel, parse_slo
from breakeven.metrics.summary import Estimate, RunSummary
from breakeven.mix.answer import mix_report
from breakeven.mix.loadfile import read_load
from breakeven.mix.text import render
from breakeven.mix.types import Load, LoadClass, MixReport, Offer, Wanted
from breakeven.prices import Quote
from browser import Browser, needs_browser
from compare_fixture import a_level, a_run, within
from test_report_look import axe

FLOOR = ServiceLevel(floor_tok_per_s_per_user=20)
USERS_300 = Load(classes=(LoadClass(users=300),))
FLEET = ("mix", "nosana-2024:rtx4090", "nosana-2024:a100-80", "nosana-2024:rtx3090")


def offer(capacity: float, usd_per_h: float, **more: Any) -> Offer:
    given: dict[str, Any] = {
        "label": "card",
        "runs": ("run",),
        "card": "card",
        "kind": "ask",
        "source": "test",
        "usd_per_h": usd_per_h,
        "capacity": (within(capacity, more.pop("share", None)),),
    }
    return Offer(**(given | more))


def report(*offers: Offer, users: int = 100, **wanted: Any) -> MixReport:
    load = Load(classes=(LoadClass(users=users),))
    return mix_report(offers, load, at="a service", wanted=Wanted(**wanted))


def of_card(gpu: str, run_id: str, capacity: float = 40.0, **facts: Any) -> RunSummary:
    """A run whose users get 20 tok/s each at `capacity` users."""
    host = {"gpus": [{"name": gpu}] * facts.pop("cards", 1)}
    return a_run({1: 60, 10: 500, int(capacity): 20 * capacity, 200: 900}, run_id=run_id, host=host, **facts)


def quote(gpu: str, usd: float, **more: Any) -> Quote:
    given: dict[str, Any] = {"provider": "here", "kind": "ask", "as_of": datetime.date(2026, 11, 1), "source": "test"}
    return Quote(gpu=gpu, usd_per_h_card=usd, **(given | more))


def test_a_run_offers_as_many_whole_users_as_it_has_at_the_service_level_and_its_newest_price() -> None:
    runs = [of_card("RTX 4090", "a", cards=2), of_card("L40S", "b", 41)]
    book = PriceBook(quotes=(quote("rtx4090", 0.3), quote("rtx4090", 0.5), quote("l40s", 0.8)))
    (first, second), left = offers_of(runs, USERS_300, level=FLOOR, book=book)
    assert (first.capacity[0].value, second.capacity[0].value, left) == (40, 41, ())
    assert first.usd_per_h == pytest.approx(0.6)
    assert first.usd_per_h_range == pytest.approx((0.6, 1.0))
    assert (first.cards, first.kind, second.usd_per_h_range) == (2, "ask", None)


def test_prices_are_of_one_kind_and_a_card_without_one_is_named() -> None:
    runs = [of_card("RTX 4090", "a"), of_card("L40S", "b")]
    asks = (quote("rtx4090", 0.3),)
    with pytest.raises(UsageError, match="no price for L40S: say it by --price 'L40S=USD'"):
        offers_of(runs, USERS_300, level=FLOOR, book=PriceBook(quotes=asks))
    mixed = (*asks, quote("l40s", 0.4, kind="spot"))
    with pytest.raises(UsageError, match=r"no kind of price is known for all cards \(RTX 4090: ask; L40S: spot\)"):
        offers_of(runs, USERS_300, level=FLOOR, book=PriceBook(quotes=mixed))
    given, _ = offers_of(runs, USERS_300, level=FLOOR, book=PriceBook(quotes=mixed, own={"l40s": 1.5}))
    assert [(one.usd_per_h, one.kind) for one in given] == [(0.3, "ask"), (1.5, "given")]


def test_what_a_million_tokens_cost_follows_the_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIDE, "usd_per_mtok_output", SIDE["usd_per_mtok_output"]._replace(text="serving_usd_per_h"))
    load = Load(classes=(LoadClass(req_per_s=3.0, output_tokens=100),))
    assert mix_report([offer(4.0, 0.5)], load, at="a service", wanted=Wanted()).usd_per_mtok_output == 0.5


def test_cards_let_in_eights_are_taken_in_eights() -> None:
    book = PriceBook(quotes=(quote("h100-sxm", 2.0, cards_at_least=8),))
    (four,), _ = offers_of([of_card("H100 SXM", "a", cards=4)], USERS_300, level=FLOOR, book=book)
    assert four.least_nodes == 2
    assert report(offer(100, 1.0, least_nodes=3), offer(100, 4.0, label="b")).fleet.nodes == (3, 0)


def test_a_service_that_nothing_meets_is_told_with_what_comes_nearest() -> None:
    runs = [of_card("RTX 4090", "a"), of_card("L40S", "b")]
    book = PriceBook(own={"rtx4090": 1, "l40s": 1})
    with pytest.raises(LimitMissedError, match="RTX 4090 at 1 user comes nearest with 60 tok/s"):
        offers_of(runs, USERS_300, level=ServiceLevel(floor_tok_per_s_per_user=100), book=book)
    with pytest.raises(LimitMissedError, match=r"nothing meets ttft_p99 <= 1\.0 ms"):
        offers_of(runs, USERS_300, level=ServiceLevel(slo=parse_slo("ttft_p99=1ms")), book=book)


def test_a_run_that_misses_the_service_is_left_out_with_its_reason() -> None:
    runs = [of_card("RTX 4090", "a"), a_run({1: 10, 10: 90}, run_id="slow", host={"gpus": [{"name": "L40S"}]})]
    book = PriceBook(own={"rtx4090": 1, "l40s": 1})
    offers, (left,) = offers_of(runs, USERS_300, level=FLOOR, book=book)
    assert len(offers) == 1
    assert left.reason is not None
    assert left.reason.id == "misses_lowest"


def lengths(run_id: str, *, inputs: float, outputs: float, tput: float = 1000.0) -> RunSummary:
    """A run of one length of requests."""
    requests = tput / outputs
    levels = tuple(
        a_level(
            users,
            tput * share,
            req_per_s=Estimate(value=requests * share),
            total_tok_per_s=Estimate(value=(tput + requests * inputs) * share),
        )
        for users, share in ((1, 0.1), (50, 1.0), (100, 1.2))
    )
    run = of_card("RTX 4090", run_id)
    return RunSummary(run=run.run, levels=levels)


def test_a_class_takes_the_run_of_its_own_lengths_and_no_other() -> None:
    runs = [lengths("short", inputs=200, outputs=100), lengths("long", inputs=4000, outputs=500, tput=600)]
    load = read_load(
        """
        [[classes]]
        name = "chat"
        input_tokens = 250
        output_tokens = 120
        req_per_s = 20
        [[classes]]
        name = "summaries"
        input_tokens = 4_000
        output_tokens = 500
        req_per_s = 2
        """,
        where="load.toml",
    )
    book, level = PriceBook(own={"rtx4090": 0.4}), ServiceLevel(floor_tok_per_s_per_user=6)
    (one,), _ = offers_of(runs, load, level=level, book=book)
    assert one.runs == ("short", "long")
    assert one.capacity[0].value == pytest.approx(1200 / 120)
    assert one.capacity[1].value == pytest.approx(720 / 500)
    found = mix_report((one,), load, at="a service", wanted=Wanted())
    assert found.fleet.nodes == (4,)  # 20 / 10 + 2 / 1.44 = 3.39
    assert found.used == pytest.approx(3.389 / 4, abs=1e-3)
    assert found.usd_per_mtok_output == pytest.approx(1.6 / (3400 * 3600) * 1e6)
    with pytest.raises(LimitMissedError, match=r"asked chat .*measured 4,000 in, 500 out"):
        offers_of(runs[1:], Load(classes=load.classes[:1]), level=level, book=book)


def test_spot_nodes_are_counted_by_the_time_that_they_are_there() -> None:
    book = PriceBook(quotes=(quote("rtx4090", 1.0), quote("rtx4090", 0.4, kind="spot")), spot_away_share=0.1)
    offers, _ = offers_of([of_card("RTX 4090", "a")], USERS_300, level=FLOOR, book=book)
    assert [(one.kind, one.away_share) for one in offers] == [("ask", 0.0), ("spot", 0.1)]
    found = mix_report(offers, Load(classes=(LoadClass(users=72),)), at="a service", wanted=Wanted())
    assert found.fleet.nodes == (0, 2)  # 2 x 40 users x 0.9
    assert found.fleet.usd_per_h == pytest.approx(2 * 0.4 * 0.9)
    assert found.served == pytest.approx(0.81, abs=0.015)  # both are there


def test_draws_say_how_often_the_mix_is_enough_and_which_kinds_are_cheapest() -> None:
    found = report(offer(50, 1.0, share=0.2), users=100, seed=3)
    assert found.doubt is not None
    assert found.doubt.enough == pytest.approx(0.5, abs=0.1)
    assert found.careful is not None
    assert found.careful.nodes == (3,)
    ranges = {"usd_per_h_range": (0.5, 1.5)}
    alike = report(offer(50, 1.0, **ranges), offer(50, 1.0, kind="given", **ranges), users=40, seed=1)
    assert alike.doubt is not None
    assert {one.offers: one.share for one in alike.doubt.kinds} == pytest.approx({(0,): 0.5, (1,): 0.5}, abs=0.1)
    assert report(offer(50, 1.0, share=0.2), seed=3) == report(offer(50, 1.0, share=0.2), seed=3)
    assert report(offer(50, 1.0)).doubt is None


def test_one_run_at_two_prices_is_drawn_once() -> None:
    found = report(offer(50, 1.0, share=0.5), offer(50, 1.1, share=0.5, kind="spot"), users=100)
    assert found.doubt is not None
    assert [one.offers for one in found.doubt.kinds] == [(0,)]


def test_too_few_cards_say_how_much_they_carry() -> None:
    with pytest.raises(LimitMissedError, match="the cards available carry 80 % of the load: raise --available"):
        report(offer(40, 1.0, card="RTX 4090"), users=100, available={"rtx4090": 2})
    with pytest.raises(UsageError, match="--available: no card among the runs is called 'h100'"):
        report(offer(40, 1.0, card="RTX 4090"), available={"h100": 2})


def test_the_text_tells_the_mix_the_others_and_the_doubt() -> None:
    offers = offer(90, 1.0, share=0.1, label="big"), offer(40, 0.6, share=0.1, label="small", runs=("b",))
    text = render(report(*offers, users=120, spare=1))
    assert "1 node to spare" not in text
    assert "one node to spare: " in text
    assert "One kind of node alone" in text
    assert "How sure: in 200 draws" in text


def test_a_predicted_and_an_unfinished_measurement_are_marked() -> None:
    text = render(report(offer(90, 1.0, label="big", predicted=True, at_least=True)))
    assert "big: nobody has measured it" in text
    assert "big still met the service at its top level" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing required field `classes`"),
        ("classes = []", r"has no \[\[classes\]\]"),
        ("[[classes]]\nusers = 1\nreq_per_s = 2", "say either users or req_per_s"),
        ("[[classes]]\nusers = -1", "users is -1; give a number above 0"),
        ("[[classes]]\nreq_per_s = 2", "req_per_s needs output_tokens"),
        ("[[classes]]\nuser = 2", "unknown field `user`"),
        ("[[classes]]\nusers = 2\n[[classes]]\nusers = 3", "two classes are called all"),
        ("hours = [1]\n[[classes]]\nusers = 2", "give 2 to 96 numbers"),
        ("hours = [0, 0]\n[[classes]]\nusers = 2", "one is above 0"),
        ("hours = [", "load.toml: "),
    ],
)
def test_a_load_file_that_makes_no_sense_is_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        read_load(text, where="load.toml")
    assert str(told.value).startswith("load.toml: ")
    assert "\n" not in str(told.value)


def test_the_command_finds_a_mix_of_the_2024_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    words = (*FLEET, "--users", "300", "--floor", "30", "--price", "rtx4090=0.3", "--price", "a100-80=1", "--price")
    assert main((*words, "rtx3090=0.2", "--json", "-", "--draws", "20", "--available", "rtx4090=1")) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["fleet"]["nodes"] == [1, 0, 6]  # 92 + 6 x 39 = 326, 1.50 USD/h; an A100 more would be 2.30
    assert found["fleet"]["usd_per_h"] == pytest.approx(1.5)
    assert (
        "The cheapest mix for 300 users with at least 30 words/s a user on average: 1 × RTX 4090 + 6 × RTX 3090" in err
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--floor", "30"), 2, "say the load: --users N, or --load FILE"),
        (("--users", "300"), 2, "say what a user must get"),
        (("--users", "0", "--floor", "30"), 2, "--users 0: give a number above 0"),
        (("--users", "0.5", "--floor", "30"), 2, "'0.5' is no whole number"),
        (("--users", "9", "--floor", "30", "--price", "h100=3"), 2, "--price: no card among the runs is called 'h100'"),
        (("--users", "9", "--floor", "30", "--price", "rtx4090=-1"), 2, "write it like h100=2.50"),
        (("nosana-2024:rtx3090", "--users", "9", "--floor", "30"), 2, "is given twice"),
        (("--users", "9", "--slo", "ttft_p99=1s"), 3, "no run has a ttft_p99"),
        (("--users", "9", "--floor", "30,40"), 2, "give one --floor"),
        (("--users", "9", "--floor", "300"), 3, "nothing meets at least 300 words/s"),
        (("--users", "9", "--floor", "30", "--spot", "1"), 2, "--spot 1 is no share"),
        (("--users", "9", "--floor", "30", "--available", "rtx4090"), 2, "write it like h100=4"),
        (("--users", "9", "--floor", "30", "--hours", "5"), 2, "give 2 to 96 numbers"),
        (("--users", "9", "--floor", "30", "--draws", "-1"), 2, "--draws -1"),
        (("--load", "nowhere.toml", "--floor", "30"), 2, "nowhere.toml"),
    ],
)
def test_the_command_tells_what_is_wrong_in_one_line(
    words: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main((*FLEET, *words)) == code
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1


def test_what_was_predicted_is_an_offer_like_any_other_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus = ("--gpu", "l40s,rtx4090", "--users", "1,10,50,100", "--out", str(tmp_path))
    assert main(("predict", "--model", "llama-3.1-8b", *gpus)) == 0
    runs = sorted(str(path) for path in tmp_path.iterdir())
    capsys.readouterr()
    assert (
        main(("mix", *runs, "--users", "100", "--floor", "25", "--draws", "0", "--price", "rtx4090=9", "--json", "-"))
        == 0
    )
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [one["predicted"] for one in found["offers"]] == [True, True]
    assert "L40S · vLLM · predicted: nobody has measured it" in err


def test_without_the_solver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(BreakevenError, match=r"pip install 'breakeven\[mix\]'"):
        report(offer(50, 1.0))


def test_the_solver_writes_nothing_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "solve.py"
    script.write_text(
        "import numpy as np\n"
        "from breakeven.mix.solve import Problem, cheapest\n"
        "for seed in range(12):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    one = Problem(rng.uniform(1, 2, 4), rng.uniform(20, 400, (4, 3)), rng.uniform(90, 900, 3), np.ones(4))\n"
        "    assert cheapest(one._replace(spare=True))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_kinds_that_win_have_their_cost_with_an_interval_and_the_mix_is_among_them() -> None:
    offers = (
        offer(50, 1.0, share=0.2, label="steady", usd_per_h_range=(0.9, 1.1)),
        offer(40, 1.0, share=0.2, label="other", runs=("b",), usd_per_h_range=(0.9, 1.1)),
    )
    found = report(*offers, users=100, seed=1)
    assert found.doubt is not None
    assert sum(one.share for one in found.doubt.kinds) == pytest.approx(1)
    own = next(one for one in found.doubt.kinds if one.offers == (0,))
    assert own.fleet == found.fleet
    assert own.usd_per_h.value == pytest.approx(2.0)
    low, high = own.usd_per_h.ci95
    assert low is not None
    assert high is not None
    assert 1.7 < low < 2.0 < high < 3.4  # two or three nodes at 0.9 to 1.1
    assert f"{own.usd_per_h.value:.3g}" in render(found)


def test_each_kind_of_mix_that_wins_is_another_fleet() -> None:
    """Where the big one falls short a small one beside it does: as measured, too, that mix has a node of both."""
    big, small = offer(100, 1.0, share=0.1, label="big"), offer(20, 0.3, label="small", runs=("b",))
    found = report(big, small, users=100, seed=2)
    assert found.fleet.nodes == (1, 0)
    assert found.doubt is not None
    fleets = {one.offers: one.fleet.nodes for one in found.doubt.kinds if one.fleet is not None}
    assert fleets == {(0,): (1, 0), (0, 1): (1, 1)}
    both = next(one for one in found.doubt.kinds if one.offers == (0, 1))
    assert both.usd_per_h.value == pytest.approx(1.3)


def test_whole_users_and_their_interval_are_written_as_whole_numbers() -> None:
    known_from_5 = replace(offer(65, 1.0), capacity=(Estimate(value=65, ci95=(5, None)),))
    text = render(report(known_from_5, users=60))
    assert "5.00" not in text
    assert "5, no bound above" in text


PAGED = (*FLEET, "--users", "300", "--floor", "30", "--draws", "40", "--price", "rtx4090=0.3", "--price", "a100-80=1")


def test_the_page_goes_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*PAGED, "--price", "rtx3090=0.2")
    assert main((*words, "--html", str(tmp_path / "mix.html"))) == 0
    assert "The cheapest mix for 300 users" in capsys.readouterr().out
    page = (tmp_path / "mix.html").read_text(encoding="utf-8")
    assert "<h1>The cheapest mix for 300 users" in page
    assert main((*words, "--html", "-")) == 0
    out, err = capsys.readouterr()
    assert out.startswith("<!doctype html>")
    assert "The cheapest mix for 300 users" in err
    assert main((*words, "--html", "-", "--json", "-")) == 2
    assert "only one form can go to stdout" in capsys.readouterr().err


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_draws_the_mixes_and_fits(tmp_path: Path, width: int, *, dark: bool) -> None:
    words = (*PAGED, "--price", "rtx3090=0.2", "--hours", "1,2,3,2", "--html", str(tmp_path / "mix.html"))
    assert main(words) == 0
    with Browser(tmp_path / "profile") as browser:
        browser.look(width=width, dark=dark, phone=width < 500)
        browser.open((tmp_path / "mix.html").as_uri())
        assert browser.console == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert axe(browser) == []
        rows = browser.run("Save.table(document.querySelector('.chart'))").splitlines()
        assert rows[0].split("\t") == ["mix", "USD an hour", "low", "high", "cheapest in"]
        costs = [float(row.split("\t")[1]) for row in rows[1:]]
        assert costs == sorted(costs)
        drawn = browser.run("document.querySelector('.chart svg').textContent")
        assert all(row.split("\t")[0][:12] in drawn for row in rows[1:])
