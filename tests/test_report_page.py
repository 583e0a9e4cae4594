"""The page in a real browser: it opens from disk and asks nobody, the sliders give the library's values, it prints."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breakeven.app.report import Loaded, findings_of, load_folder, load_scenario
from breakeven.compare.runs import compare_runs
from breakeven.cost.evaluate import report
from breakeven.cost.presets import PRESETS
from breakeven.cost.scenario import overridden, read_scenario
from breakeven.errors import UsageError
from breakeven.findings import Findings, Prices, findings
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import Estimate, LevelSummary, RunFacts, RunSummary
from breakeven.prices import known_quotes
from breakeven.reference import find_run
from breakeven.report.html import to_html
from breakeven.report.sentence import answer_text
from browser import Browser, needs_browser
from report_findings import PRICES, pair, scenario, single
from report_runs import make_run
from test_report_forms import evil

pytestmark = needs_browser


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Any:
    def opened(found: Findings, *, fragment: str = "") -> float:
        path = tmp_path / "report.html"
        path.write_text(to_html(found), encoding="utf-8")
        browser.look()
        return browser.open(path.as_uri() + fragment)

    return opened


def set_field(browser: Browser, place: str, value: float, *, kind: str = "number") -> None:
    """What a person does: another value in a field, then the event that follows."""
    browser.run(
        f"(() => {{ const input = document.querySelector('.field[data-place=\"{place}\"] input[type={kind}]');"
        f"input.value = '{value!r}'; input.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    )
    browser.run("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")


def see_all(browser: Browser) -> None:
    """Scroll through the page, so that every chart is drawn."""
    browser.run(
        "(async () => { for (const one of document.querySelectorAll('.chart')) { one.scrollIntoView();"
        "await new Promise((done) => setTimeout(done, 30)); } })()"
    )
    browser.wait("[...document.querySelectorAll('.chart')].every((one) => one.querySelector('svg') || one.textContent)")


def figures(browser: Browser) -> dict[str, float | None]:
    """Every figure of the page as the number behind its text."""
    script = (
        "Object.fromEntries([...document.querySelectorAll('.figures [data-fig]')].map((one) => "
        "[one.dataset.fig, one.dataset.value === '' ? null : Number(one.dataset.value)]))"
    )
    found: dict[str, float | None] = browser.run(script)
    return found


def known(found: dict[str, float | None]) -> dict[str, float]:
    """Those that have a value."""
    return {path: value for path, value in found.items() if value is not None}


def by_the_library(found: Findings, *changes: str) -> dict[str, float | None]:
    """The same figures from the library, for the scenario that the page holds with `--set` changes."""
    measured = msgspec.convert(found.money[0].scenario, type(scenario()))
    changed = overridden(measured, changes)
    told = report(changed, drawn=changed)
    return {
        path.removeprefix("comparison."): figure.value
        for path, figure in told.all_figures().items()
        if not figure.is_missing
    }


def test_the_page_opens_from_disk_without_an_error_and_asks_nobody(show: Any, browser: Browser) -> None:
    for found in (pair(ranges="default"), pair(text=None), single(), single(text=PRICES)):
        show(found)
        see_all(browser)
        browser.wait(
            "[...document.querySelectorAll('.chart')].every((one) => one.querySelector('svg') || one.textContent)"
        )
        assert browser.console == []
        assert [url for url in browser.requests if not url.startswith(("file:", "about:", "data:"))] == []
        assert len([url for url in browser.requests if url.startswith("file:")]) == 1


@pytest.mark.parametrize("data", ["nosana-2024", "nosana-2024-sweep"])
@pytest.mark.parametrize("ranges", [None, "default"])
@pytest.mark.parametrize("name", [None, *PRESETS])
def test_every_ready_scenario_opens_with_one_two_and_three_runs_of_every_data_set(
    show: Any, browser: Browser, name: str | None, ranges: str | None, data: str
) -> None:
    """And every slider can be moved: a ranking without a price column once stopped the page of the founding article."""
    a100, rtx = (Loaded(find_run(gpu, data=data)) for gpu in ("a100-80", "rtx-4090"))
    again = msgspec.structs.replace(rtx.run, run=msgspec.structs.replace(rtx.run.run, id="again"))
    scenarios = () if name is None else (load_scenario(name),)
    for runs in ([rtx], [a100], [a100, rtx], [rtx, a100], [a100, rtx, Loaded(again)], [rtx, Loaded(again)]):
        try:
            found = findings_of(runs, prices=Prices(scenarios=scenarios, ranges=ranges, quotes=known_quotes()))
        except UsageError:
            assert name in ("owner", "self-host"), "only these price no A100"
            assert len(runs) > 1 or runs == [a100]
            continue
        show(found)
        see_all(browser)
        assert browser.console == []
        for place in browser.run("[...document.querySelectorAll('.field')].map((one) => one.dataset.place)"):
            value = browser.run(f"Number(document.querySelector('.field[data-place=\"{place}\"] input').value)")
            set_field(browser, place, 0.9 * value)
        assert browser.console == []
        assert "NaN" not in browser.run("document.body.innerText")


def test_opening_the_page_changes_none_of_its_numbers(show: Any, browser: Browser, tmp_path: Path) -> None:
    found = pair(ranges="default")
    show(found)
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    after = browser.run("[...document.querySelectorAll('[data-fig]')].map((one) => one.textContent)")
    before = browser.run(
        f"[...new DOMParser().parseFromString({json.dumps(written)}, 'text/html').querySelectorAll('[data-fig]')]"
        ".map((one) => one.textContent)"
    )
    assert after == before
    assert len(after) > 40
    assert browser.run("document.querySelector('#answer').textContent") == answer_text(found)


@pytest.mark.parametrize(
    ("place", "value", "changes"),
    [
        ("candidate.purchase_usd", 2400.0, ["candidate.purchase_usd=2400"]),
        ("reference.rent_usd_per_h", 1.13, ["reference.rent_usd_per_h=1.13"]),
        ("candidate.rent_usd_per_h", 0.271, ["candidate.rent_usd_per_h=0.271"]),
        ("market.usd_per_kwh", 0.35, ["market.usd_per_kwh=0.35"]),
        ("market.rented_share", 0.35, ["market.rented_share=0.35"]),
        ("market.load_factor", 0.5, ["market.load_factor=0.5"]),
        ("market.life_years", 6.0, ["market.life_years=6"]),
        ("k", 2.0, ["candidate.count=2.0"]),
    ],
)
@pytest.mark.parametrize("kind", ["number", "range"])
def test_a_slider_gives_the_library_s_figures(
    show: Any, browser: Browser, place: str, value: float, changes: list[str], kind: str
) -> None:
    found = pair()
    show(found)
    before = figures(browser)
    set_field(browser, place, value, kind=kind)
    after, expected = figures(browser), by_the_library(found, *changes)
    assert len(after) > 30
    assert after != before
    for path, shown in after.items():
        wanted = expected.get(path)
        assert (shown is None) == (wanted is None), path
        if wanted is not None:
            assert shown == pytest.approx(wanted, rel=1e-9), path


def test_more_cards_to_replace_keep_k(show: Any, browser: Browser) -> None:
    found = pair()
    show(found)
    set_field(browser, "cards", 3.0)
    k = found.money[0].inputs["candidate.count"]
    expected = by_the_library(found, "reference.count=3", f"candidate.count={3 * k!r}")
    assert known(figures(browser)) == pytest.approx(
        {path: expected[path] for path in known(figures(browser))}, rel=1e-9
    )


def test_crossings_and_tornado_are_the_library_s(show: Any, browser: Browser) -> None:
    found = pair(ranges="default")
    show(found)
    money = found.money[0]
    shown = browser.run(
        "[...document.querySelectorAll('#crossings [data-crossing]')].map((one) => Number(one.dataset.crossing))"
    )
    assert shown == pytest.approx([crossing.at for crossing in money.crossings], rel=1e-6)
    assert len(shown) >= 3
    tornado = browser.run("window.breakeven.tornado()")
    assert money.report.tornado is not None
    assert tornado["middle"] == pytest.approx(money.report.tornado.middle, rel=1e-9)
    for bar, swing in zip(tornado["swings"], money.report.tornado.swings, strict=True):
        assert (bar["at_p10"], bar["at_p90"]) == (
            pytest.approx(swing.at_p10, rel=1e-9),
            pytest.approx(swing.at_p90, rel=1e-9),
        )


def test_the_ranking_and_the_sentence_follow_the_prices(show: Any, browser: Browser) -> None:
    show(pair())
    first = "document.querySelector('#ranking tbody th').textContent"
    assert "RTX 4090" in browser.run(first)
    set_field(browser, "reference.rent_usd_per_h", 0.02)
    assert "A100" in browser.run(first)
    assert browser.run("document.querySelector('#ranking tbody tr').className") == "best"
    assert "What if, with 1 changed number." in browser.run("document.querySelector('#sure').textContent")
    ratio = browser.run("document.querySelector('#answer [data-part=ratio]').textContent")
    worked = browser.run("1 / window.breakeven.worked().comparison.usd_per_mtok_ratio")
    assert float(ratio) == pytest.approx(worked, rel=5e-3)


def test_a_link_keeps_the_state_and_the_scenario_can_be_copied(show: Any, browser: Browser) -> None:
    found = pair()
    show(found)
    set_field(browser, "market.usd_per_kwh", 0.33)
    set_field(browser, "candidate.purchase_usd", 1999.0)
    figures_before = figures(browser)
    fragment = browser.run("location.hash")
    copied = read_scenario(browser.run("window.breakeven.toml()"), where="copied")
    told = report(copied, drawn=copied)
    assert told.candidate.figures["npv_usd"].value == pytest.approx(figures_before["candidate.npv_usd"], rel=1e-9)
    assert copied.variants[0].set == {"candidate.count": 2}
    show(found, fragment=fragment)
    assert figures(browser) == figures_before
    show(found, fragment="#set=market.usd_per_kwh=1e999&set=__proto__.x=1&set=market.pue=-3&case=7")
    assert browser.console == []
    expected = by_the_library(found)
    shown = known(figures(browser))
    assert shown == pytest.approx({path: expected[path] for path in shown}, rel=1e-9)


def test_an_impossible_number_is_marked_and_changes_nothing(show: Any, browser: Browser) -> None:
    show(pair())
    before = figures(browser)
    set_field(browser, "market.rented_share", 1.7)
    assert figures(browser) == before
    field = '.field[data-place="market.rented_share"] input[type=number]'
    assert browser.run(f"document.querySelector('{field}').getAttribute('aria-invalid')") == "true"


def test_numbers_are_written_as_the_library_writes_them(show: Any, browser: Browser) -> None:
    from breakeven import say

    show(pair())
    values = [0.000123456, 0.0312, 0.4571, 3.14159, 17.777, 123.456, 999.96, 1234.567, 98765.4321, 7654321.9]
    for unit in ("USD/h", "USD", "h", "share", "x", "tok/USD", "USD/Mtok", "months"):
        wanted = [say.amount(value, unit) for value in values]
        assert (
            browser.run(f"{json.dumps(values)}.map((one) => window.breakeven.amount(one, {json.dumps(unit)}))")
            == wanted
        )


def test_several_candidates_have_prices_of_their_own(show: Any, browser: Browser, tmp_path: Path) -> None:
    runs = [
        load_folder(make_run(tmp_path, gpu=gpu, engine=engine, tpot_s=tpot_s, users=(1, 10, 40), window_s=5.0))
        for gpu, engine, tpot_s in (("A100", "vllm", 0.010), ("L4", "vllm", 0.012), ("L4", "sglang", 0.014))
    ]
    prices = PRICES.replace('gpu = "RTX 4090"', 'gpu = "L4"')
    dear = scenario(prices.replace("purchase_usd = 1750", "purchase_usd = 9000"))
    found = findings_of(runs, prices=Prices(scenarios=(dear, scenario(prices))))
    show(found)
    assert [row.rank for row in found.ranking] == [1, 2, 3]
    assert browser.run("document.querySelectorAll('#case option').length") == 2
    browser.run(
        "(() => { const c = document.querySelector('#case'); c.value = '0'; c.dispatchEvent(new Event('change')); })()"
    )
    shown = browser.run("document.querySelector('.field[data-place=\"candidate.purchase_usd\"] input').value")
    assert float(shown) == 9000
    assert "vLLM" in browser.run("document.querySelector('#answer').textContent")
    heads = browser.run("[...document.querySelectorAll('#figures thead > tr > *')].map((one) => one.textContent)")
    assert heads[2] == f"{found.money[0].inputs['candidate.count']:.3g} × L4"
    assert browser.run("[...document.querySelectorAll('[data-best-only]')].every((one) => one.hidden)")
    told = found.money[0].report.candidate.figures["npv_usd"].value
    assert figures(browser)["candidate.npv_usd"] == pytest.approx(told, rel=1e-9)
    assert browser.console == []


def test_hostile_texts_run_nowhere_in_the_page(show: Any, browser: Browser) -> None:
    show(evil())
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    see_all(browser)
    set_field(browser, "market.usd_per_kwh", 0.2)
    assert browser.run("window.hacked") is None
    assert browser.console == []
    assert browser.run("document.querySelectorAll('img, script[src], iframe').length") == 0


def test_the_policy_stops_a_script_that_got_in_all_the_same(show: Any, browser: Browser) -> None:
    show(pair())
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">')")
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.hacked=1' }))"
    )
    time.sleep(0.2)
    assert browser.run("window.hacked") is None
    assert any("Content Security Policy" in line for line in browser.console)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window_and_text_can_be_read(
    show: Any, browser: Browser, *, width: int, dark: bool
) -> None:
    show(pair(ranges="default"))
    browser.look(width=width, dark=dark, phone=width < 500)
    browser.run("new Promise((done) => setTimeout(done, 300))")
    assert browser.run("document.documentElement.scrollWidth") <= width
    contrasts = browser.run(CONTRAST)
    assert min(contrasts.values()) >= 4.5, contrasts
    browser.look()


CONTRAST = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  };
  const style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name).trim();
  const ratio = (a, b) => {
    const [x, y] = [light(value(a)), light(value(b))].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  return Object.fromEntries([["--ink", "--bg"], ["--muted", "--bg"], ["--muted", "--panel"], ["--accent", "--bg"],
    ["--warn", "--bg"], ["--warn", "--warn-bg"], ["--accent-ink", "--accent"],
    ...Array.from({ length: 8 }, (_, i) => [`--s${i}`, "--bg"])]
    .map(([a, b]) => [`${a} on ${b}`, ratio(a, b)]));
})()"""


def test_everything_can_be_reached_and_named_without_a_mouse(show: Any, browser: Browser) -> None:
    show(pair(ranges="default"))
    see_all(browser)
    assert browser.run("document.querySelectorAll('.chart svg').length") > 3
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        n
        for n in nodes
        if n.get("role", {}).get("value") in ("slider", "spinbutton", "button", "link", "img", "textbox")
    ]
    shown = [n for n in named if not n.get("ignored")]
    assert len(shown) > 30
    assert [n["role"]["value"] for n in shown if not n.get("name", {}).get("value")] == []
    headings = [n for n in nodes if n.get("role", {}).get("value") == "heading"]
    assert len(headings) > 8
    assert browser.run("document.querySelectorAll('[tabindex]:not([tabindex=\"0\"])').length") == 0
    browser.run("document.querySelector('.field input[type=range]').focus()")
    before = figures(browser)
    browser.call(
        "Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39
    )
    browser.run("new Promise((done) => setTimeout(done, 100))")
    assert figures(browser) != before


def test_every_chart_is_on_paper(show: Any, browser: Browser) -> None:
    show(pair(ranges="default"))
    printed = browser.pdf()
    assert browser.run(
        "[...document.querySelectorAll('.chart')].every((one) => one.querySelector('svg') || one.textContent)"
    )
    assert len(printed) > 50_000


def many(count: int) -> Findings:
    """As many runs as asked for, each a fleet run slightly faster than the last, each with prices."""
    base = find_run("rtx-4090", data="nosana-2024")

    def level(one: LevelSummary, factor: float) -> LevelSummary:
        low, high = one.output_tok_per_s.ci95
        speed = Estimate(
            value=(one.output_tok_per_s.value or 0) * factor, ci95=((low or 0) * factor, (high or 0) * factor)
        )
        return msgspec.structs.replace(one, output_tok_per_s=speed)

    def run(index: int) -> RunSummary:
        facts: RunFacts = msgspec.structs.replace(base.run, id=f"run-{index}", model=f"model {index}")
        return msgspec.structs.replace(
            base, run=facts, levels=tuple(level(one, 1 + index / 200) for one in base.levels)
        )

    runs = [run(index) for index in range(count)]
    floor = ServiceLevel(floor_tok_per_s_per_user=50.0)
    comparisons = compare_runs(runs[0], runs[1:], floors=[50.0])
    plain = scenario(
        PRICES.replace("A100 80GB", "RTX 4090")
        .replace("{ low = 0.3, mode = 0.6, high = 0.9 }", "0.6")
        .replace("{ low = 0.24, mode = 0.32, high = 0.40 }", "0.3")
    )
    prices = Prices(scenarios=(plain,))
    return findings(runs, comparisons=comparisons, service_level=floor, prices=prices)


def test_a_hundred_runs_open(show: Any, browser: Browser) -> None:
    show(many(100))
    assert browser.console == []
    assert browser.run("document.querySelectorAll('#ranking tbody tr').length") == 100
    assert browser.run("document.querySelector('[data-chart=answer]').dataset.drawn") == "yes"
