"""The leaderboard's page in a real browser: what it shows, how it searches and sorts, and that no name is markup."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from breakeven.cli import main
from breakeven.fleet.board_page import board_page
from breakeven.fleet.leaderboard import leaderboard
from breakeven.fleet.rows import joined
from breakeven.fleet.store import add
from browser import Browser, needs_browser
from test_fleet_leaderboard import fleet
from test_report_look import axe

HOSTILE = "<img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    told: dict[str, Any] = {
        "driver": HOSTILE,
        "power_limit_w": 350.0,
        "started_s": 1.79e9,
        "outcome": "done",
        "marks": "no_price",
    }
    add(str(folder / "set"), joined([fleet(300, **told), fleet(6, market=HOSTILE, name=HOSTILE)]))
    path = folder / "board.html"
    assert main(["fleet", "leaderboard", str(folder / "set"), "--html", str(path)]) == 0
    return path


def texts(browser: Browser, selector: str) -> list[str]:
    found = browser.run(f"JSON.stringify([...document.querySelectorAll({selector!r})].map((one) => one.textContent))")
    told: list[str] = json.loads(found)
    return told


def set_value(browser: Browser, selector: str, value: str, *, event: str) -> None:
    told = f"one.value = {value!r}; one.dispatchEvent(new Event({event!r}))"
    browser.run(f"(() => {{ const one = document.querySelector({selector!r}); {told}; }})()")


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing_that_keeps_somebody_out(browser: Browser, page: Path, width: int, *, dark: bool) -> None:
    browser.look(width=width, dark=dark, phone=width < 500)
    browser.open(page.as_uri(), ready="document.querySelectorAll('#rows tbody tr').length > 3")
    assert axe(browser) == []


@needs_browser
def test_only_the_rows_in_view_are_made_and_the_last_is_reached(browser: Browser, page: Path) -> None:
    browser.look()
    browser.open(page.as_uri())
    assert browser.run("document.querySelectorAll('#rows tr.line').length") < 60
    assert texts(browser, "#count") == ["306 lines"]
    browser.run("document.querySelector('#rows').scrollTop = 1e9")
    browser.wait("[...document.querySelectorAll('#rows .line')].some((row) => row.ariaRowIndex === '307')")
    assert (browser.console, browser.requests) == ([], [page.as_uri()])


@needs_browser
def test_it_searches_filters_and_sorts(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    set_value(browser, "#filter", "N299", event="input")
    browser.wait("document.querySelectorAll('#rows tr.line').length === 1")
    assert texts(browser, "#rows .line th a")[0].startswith("n299")
    assert "slow" in browser.run("document.querySelector('#rows .line').className")
    browser.open(page.as_uri())
    browser.run("document.querySelector('#rows button[data-name=usd_per_mtok]').click()")
    cheapest = texts(browser, "#rows .line th a")[0]
    browser.run("document.querySelector('#rows button[data-name=usd_per_mtok]').click()")
    dearest = texts(browser, "#rows .line th a")[0]
    assert cheapest != dearest
    assert dearest.startswith("n299")
    set_value(browser, "#group", "1", event="change")
    assert texts(browser, "#count") == ["6 of 306 lines"]
    assert "6 nodes, 24 jobs" in texts(browser, "#told")[0]


@needs_browser
def test_a_node_has_a_page_with_its_evidence(browser: Browser, page: Path) -> None:
    browser.open(f"{page.as_uri()}#node=0")
    assert browser.run("document.querySelector('#board').hidden")
    assert texts(browser, "#node h1") == ["n0"]
    assert "Rank 1 of 300" in texts(browser, "#node .lead")[0]
    assert "350 W" in texts(browser, "#node dd")
    assert len(texts(browser, "#node section:last-child tbody tr")) == 4
    assert any("its price was 0" in text for text in texts(browser, "#node .cautions li"))
    assert browser.run("document.querySelectorAll('#node .strip .like').length") == 300
    browser.run("document.querySelector('#node a').click()")
    browser.wait("!document.querySelector('#board').hidden")


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(390, True), (390, False), (1280, True)])
def test_nothing_is_wider_than_the_window(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.look(width=width, dark=dark, phone=width < 400)
    for where in ("", "#node=0", "#node=300"):
        browser.open(page.as_uri() + where)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), where
    browser.look()


@needs_browser
def test_names_are_shown_as_they_are_and_run_nothing(browser: Browser, page: Path) -> None:
    browser.open(f"{page.as_uri()}#node=300")
    assert texts(browser, "#node h1") == [f"{HOSTILE}0"]
    browser.open(f"{page.as_uri()}#node=1")
    assert HOSTILE in texts(browser, "#node dd")
    assert browser.run("window.hacked === undefined && document.querySelectorAll('img').length === 0")


def test_the_page_holds_no_markup_of_a_name_and_asks_nobody() -> None:
    rows = fleet(6, name=HOSTILE)
    text = board_page(leaderboard(rows), rows, title=HOSTILE)
    assert "<img" not in text
    assert text.count("<script") == 2
    assert re.search(r"https?://(?!www\.w3\.org)", text) is None
    assert "default-src &#x27;none&#x27;" in text
