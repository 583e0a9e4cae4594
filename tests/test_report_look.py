"""What a person sees of the page: a picture that answers, every chart drawn, no label on another, cautions as small marks."""

import contextlib
import functools
import io
import itertools
import math
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from breakeven.app.level import Level
from breakeven.app.report import Asked, Loaded, find, findings_of, load_folder, load_scenario, write
from breakeven.cli import main
from breakeven.cost.presets import PRESETS
from breakeven.findings import Findings, Prices
from breakeven.prices import known_quotes
from breakeven.reference import find_run
from breakeven.report.html import to_html
from browser import Browser, needs_browser
from report_findings import PRICES, pair, single
from report_runs import make_run
from test_report_page import set_field

pytestmark = needs_browser
STUDY = Path(__file__).parent.parent / "examples" / "cpu-llamacpp-vs-vllm"

OVERLAPS = """(() => {
  const seen = [];
  for (const chart of document.querySelectorAll(".chart")) {
    const box = chart.getBoundingClientRect();
    if (!box.width) continue;
    const texts = [...chart.querySelectorAll("svg text")].filter((one) => !one.closest('[aria-label="tip"]') && one.textContent.trim())
      .map((one) => ({ text: one.textContent, r: one.getBoundingClientRect() })).filter(({ r }) => r.width > 0);
    for (const [i, a] of texts.entries()) {
      if (a.r.left < box.left - 1 || a.r.right > box.right + 1 || a.r.top < box.top - 1 || a.r.bottom > box.bottom + 1) seen.push(`${chart.dataset.chart}: ${a.text} leaves its box`);
      for (const b of texts.slice(i + 1)) {
        const [w, h] = [Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left), Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top)];
        if (w > 1 && h > 2.5) seen.push(`${chart.dataset.chart}: ${a.text} on ${b.text}`);
      }
    }
  }
  return seen;
})()"""
UNDRAWN = "[...document.querySelectorAll('.chart')].filter((one) => one.clientWidth && !one.querySelector('svg') && one.dataset.drawn !== 'empty').map((one) => one.dataset.chart)"
CUT = """[...document.querySelectorAll('.field input[type=number]')].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.value)"""


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Any:
    def opened(found: Findings, *, width: int = 1280, dark: bool = False) -> None:
        path = tmp_path / "report.html"
        path.write_text(to_html(found), encoding="utf-8")
        browser.look(width=width, dark=dark, phone=width < 500)
        browser.open(path.as_uri())

    return opened


@functools.cache
def measured() -> Findings:
    """The two engines on one machine, of the stored study."""
    runs = tuple(str(STUDY / f"smollm2-135m-{engine}-chat") for engine in ("llamacpp", "vllm"))
    return find(Asked(runs=runs, scenarios=(str(STUDY / "prices.toml"),), floors=(12.0,)))


def fleet(page: str) -> Findings:
    """Runs of the 2024 fleet with a ready scenario."""
    name, gpus = PAGES[page]
    scenarios = () if name is None else (load_scenario(name),)
    runs = [Loaded(find_run(gpu, data="nosana-2024")) for gpu in gpus]
    return findings_of(runs, prices=Prices(scenarios=scenarios, ranges="default", quotes=known_quotes()))


@functools.cache
def predicted() -> Findings:
    """Two cards that nobody measured."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        cards = ("--gpu", "l40s,rtx4090", "--users", "1,4,16,64")
        assert main(["predict", "--model", "llama-3.1-8b", *cards, "--out", folder]) == 0
        return find(Asked(runs=tuple(sorted(str(path) for path in Path(folder).iterdir())), floors=(25.0,)))


def made(page: str) -> Findings:
    """A page by its name."""
    own: dict[str, Callable[[], Findings]] = {
        "measured": measured,
        "priced": lambda: pair(ranges="default"),
        "predicted": predicted,
        "study": lambda: find(Asked(runs=(str(STUDY),))),
        "search": lambda: find(Asked(runs=(str(STUDY.parent / "tune-embedded"),))),
    }
    return own[page]() if page in own else fleet(page)


def axe(browser: Browser) -> list[Any]:
    """What axe-core finds wrong: the rule, and the first element that breaks it."""
    browser.run(resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found: list[Any] = browser.run(
        "axe.run(document, { resultTypes: ['violations'] })"
        ".then((told) => told.violations.map((one) => [one.id, one.nodes[0].html.slice(0, 200)]))"
    )
    return found


PAGES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    **{name: (name, ("rtx-4090",)) for name in PRESETS},
    "one run": (None, ("rtx-4090",)),
    "three runs": (None, ("a100-80-pcie", "rtx-4090", "rtx-3090")),
    "five runs": (None, ("a100-80-pcie", "rtx-4090", "rtx-3090", "rtx4070ti", "rtxa5000")),
    "article": ("nosana-2024", ("a100-80", "rtx-4090")),
}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
@pytest.mark.parametrize("page", ["measured", "priced", "predicted", "study", "search", *PAGES])
def test_every_chart_is_drawn_when_the_page_opens_and_no_label_covers_another(
    show: Any, browser: Browser, page: str, width: int, *, dark: bool
) -> None:
    show(made(page), width=width, dark=dark)
    assert browser.console == []
    assert browser.run(UNDRAWN) == []
    assert browser.run(OVERLAPS) == []
    assert browser.run(CUT) == []
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
@pytest.mark.parametrize("page", ["measured", "priced", "study", "one run", "article"])
def test_axe_finds_nothing_that_keeps_somebody_out(
    show: Any, browser: Browser, page: str, width: int, *, dark: bool
) -> None:
    show(made(page), width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert axe(browser) == []


def test_the_page_of_a_study_begins_with_its_answer(show: Any, browser: Browser) -> None:
    show(made("search"))
    large = """[...document.querySelectorAll("main :is(h1, h2, h3, p)")]
      .filter((one) => parseFloat(getComputedStyle(one).fontSize) > 24).map((one) => one.textContent)"""
    (answer,) = browser.run(large)
    assert answer.startswith("Best at its best level: threads 2, slots 16, batch_tokens 512, 61.2 tok/s (54.6–68.7)")
    heads = browser.run("[...document.querySelectorAll('main h1, main h2')].map((one) => one.textContent)")
    assert heads[:3] == [answer, "Every cell", "The best 4 of its cells, held against each other"]
    assert browser.run("document.title") == "breakeven: tune-embedded"
    legend = browser.run("document.querySelector('[data-legend=runs] li').textContent")
    assert "threads 2, slots 16, batch_tokens 512" in legend


def test_a_run_of_an_open_loop_and_one_of_limits_alone_have_their_pages(
    show: Any, browser: Browser, tmp_path: Path
) -> None:
    loaded = load_folder(make_run(tmp_path, users=(1, 5, 10), window_s=6.0))
    levels = tuple(replace(one, users=None, req_per_s_offered=0.5 * (one.users or 0)) for one in loaded.run.levels)
    opened = findings_of([loaded._replace(run=replace(loaded.run, levels=levels))])
    show(opened)
    assert browser.console == []
    assert browser.run("document.querySelectorAll('[data-chart=answer] svg').length") == 1
    assert "requests offered" in browser.run("document.querySelector('figcaption').textContent")
    run = replace(loaded.run, levels=levels)
    other = replace(run, run=replace(run.run, id="other"))
    show(findings_of([loaded._replace(run=one) for one in (run, other)], level=Level(slo="tpot_p95=100ms")))
    assert browser.console == []
    assert "5 req/s" in browser.run("document.querySelector('#ranking').textContent")
    assert "Load" in browser.run("document.querySelector('#ranking').textContent")
    show(findings_of([loaded], level=Level(slo="tpot_p95=100ms")))
    assert browser.console == []
    assert browser.run(OVERLAPS) == []


def test_pictures_are_made_of_charts_that_are_folded_away_too(tmp_path: Path) -> None:
    one = load_folder(make_run(tmp_path, users=(1, 5), window_s=6.0))
    runs = [one._replace(run=replace(one.run, run=replace(one.run.run, id=f"run {i}"))) for i in range(6)]
    write(findings_of(runs), "svg", where=str(tmp_path / "charts"))
    names = {path.name for path in (tmp_path / "charts").iterdir()}
    assert {f"time-{i}.svg" for i in range(6)} <= names


def test_a_page_of_two_runs_is_below_a_megabyte() -> None:
    assert len(to_html(measured()).encode()) < 1_000_000


def test_the_first_screen_is_the_answer_its_chart_and_three_figures(show: Any, browser: Browser) -> None:
    show(measured())
    bottom = browser.run("document.querySelector('[data-chart=answer]').getBoundingClientRect().bottom")
    assert bottom < 900
    assert browser.run("document.querySelectorAll('.kpi').length") == 3
    shown = browser.run("document.querySelector('[data-chart=answer]').textContent")
    assert "vLLM: 0.0925 USD" in shown
    assert "at least 12 tok/s" in shown


def test_what_is_predicted_is_dashed_and_hollow_and_what_is_measured_solid(show: Any, browser: Browser) -> None:
    lines = "[...document.querySelectorAll('[data-chart=answer] [aria-label=line]')].map((one) => one.getAttribute('stroke-dasharray'))"
    show(predicted())
    dashes = [dash for dash in browser.run(lines) if dash]
    assert dashes == ["5 4", "5 4"]
    assert "dashed lines: predicted" in browser.run("document.querySelector('figcaption').textContent")
    names = "[...document.querySelector('[data-legend=runs]').children].map((one) => one.textContent)"
    assert browser.run(names) == ["A: L40S (predicted)", "B: RTX 4090 (predicted)"]
    links = "[...document.querySelectorAll('nav a')].map((one) => document.querySelector(one.getAttribute('href'))?.tagName)"
    assert browser.run(links) == ["SECTION"] * 7, "each link has its section"
    show(measured())
    assert not any(browser.run(lines))


def test_the_label_of_the_winner_follows_the_prices(show: Any, browser: Browser) -> None:
    show(measured())
    set_field(browser, "reference.rent_usd_per_h", 0.001)
    assert "llama.cpp: 0.00248 USD" in browser.run("document.querySelector('[data-chart=answer]').textContent")
    assert browser.run("document.querySelector('#ranking tbody svg.rankbar rect').getAttribute('width')") == "1.53%"


@pytest.mark.parametrize("length", [100, 160, 310])
def test_the_ticks_of_a_log_axis_are_few_and_round_and_have_room(show: Any, browser: Browser, length: int) -> None:
    show(single())
    for low in (0.00031, 0.8, 4.7, 99.0):
        for times in (16.0, 40.0, 900.0, 1e5, 1e9):
            ticks = browser.run(f"Kit.logTicks({low}, {low * times}, {length})")
            assert 1 <= len(ticks) <= 12, (low, times, ticks)
            assert all(f"{tick:.0e}"[0] in "125" and float(f"{tick:.0e}") == tick for tick in ticks)
            rooms = [length * math.log(b / a) / math.log(times) for a, b in itertools.pairwise(ticks)]
            assert min(rooms, default=24) >= 24 - 1e-9, (low, times, ticks)


def test_a_run_alone_has_no_ranking_and_two_have_bars(show: Any, browser: Browser) -> None:
    show(single())
    assert browser.run("document.querySelector('#ranking')") is None
    show(pair())
    assert browser.run("document.querySelectorAll('#ranking svg.rankbar').length") == 2


def test_cautions_are_a_mark_with_a_number_and_all_stand_at_the_end_with_their_remedies(
    show: Any, browser: Browser
) -> None:
    found = measured()
    show(found)
    text = browser.run("document.body.innerText")
    for subject in found.subjects:
        for place in subject.cautions:
            assert place.caution.id not in text, "no raw ids"
            assert place.caution.remedy[1:] in browser.run("document.querySelector('#cautions').textContent")
    mark = "document.querySelector('#ranking .mark')"
    assert browser.run(f"{mark}.textContent") == f"⚠ {len(found.ranking[0].cautions)}"
    assert browser.run("document.querySelectorAll(':popover-open').length") == 0
    browser.run(f"{mark}.click()")
    listed = browser.run("[...document.querySelectorAll(':popover-open li')].map((one) => one.textContent)")
    assert len(listed) == len(found.ranking[0].cautions)
    box = browser.run(
        "(({left, right, top}) => [left, right, top])(document.querySelector(':popover-open').getBoundingClientRect())"
    )
    assert box[0] >= 0
    assert box[1] <= 1280
    assert box[2] >= 0


def test_the_page_dumps_no_raw_facts(show: Any, browser: Browser) -> None:
    show(measured())
    text = browser.run("document.querySelector('#records').textContent")
    assert "starts[" not in text
    assert "1.7065416690002166" not in text
    assert "25.3 GB" in text


def test_machines_that_differ_by_engine_are_named_by_it(show: Any, browser: Browser) -> None:
    show(measured())
    labels = browser.run("[...document.querySelectorAll('.field label')].map((one) => one.textContent)")
    assert any(one.startswith("Rent, vLLM") for one in labels)
    assert any(one.startswith("Rent, llama.cpp") for one in labels)
    assert len(set(labels)) == len(labels)


def press(browser: Browser, key: str) -> None:
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
    browser.run("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")


def test_arrow_keys_read_the_values_of_a_chart(show: Any, browser: Browser) -> None:
    show(measured())
    browser.run("document.querySelector('[data-chart=throughput] > svg').focus()")
    press(browser, "ArrowRight")
    heard = browser.run("document.querySelector('#reading').textContent")
    assert heard.startswith("AMD EPYC (2 cores) · llama.cpp, 1 user\n77.5 tok/s")
    assert "77.5 tok/s" in browser.run("document.querySelector('[data-chart=throughput] [aria-label=tip]').textContent")
    press(browser, "End")
    assert "100 users" in browser.run("document.querySelector('#reading').textContent")


def test_the_pointer_reads_a_value(show: Any, browser: Browser) -> None:
    show(measured())
    x, y = browser.run(
        "(() => { const dot = document.querySelector('[data-chart=throughput] [aria-label=dot] path');"
        "dot.scrollIntoView({ block: 'center' });"
        "const { x, y, width, height } = dot.getBoundingClientRect(); return [x + width / 2, y + height / 2]; })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.run("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    assert "1 user" in browser.run("document.querySelector('[data-chart=throughput] [aria-label=tip]').textContent")


def test_each_chart_can_be_saved_as_svg_and_png_and_copied_as_data(show: Any, browser: Browser) -> None:
    show(measured())
    charts = "[...document.querySelectorAll('.chart')].filter((one) => one.querySelector('svg'))"
    count = browser.run(f"{charts}.length")
    assert browser.run("document.querySelectorAll('figure .save').length") >= count > 5
    texts = browser.run(f"{charts}.map(Save.svg)")
    assert all(text.startswith("<svg") and "var(--" not in text for text in texts)
    assert "USD per million output tokens" in texts[0]
    tables = browser.run(f"{charts}.map(Save.table)")
    assert all(len(table.splitlines()) > 1 for table in tables)
    assert tables[0].splitlines()[0].split("\t")[:2] == ["run", "load"]
    picture = browser.run(f"Save.png({charts}[0])")
    assert picture.startswith("data:image/png;base64,")
    assert len(picture) > 10_000
    browser.run("document.querySelector('.save').click()")
    assert browser.run("document.querySelector('#save-menu').matches(':popover-open')")


def test_a_page_of_words_says_words(show: Any, browser: Browser) -> None:
    show(single(text=PRICES))
    assert "words" in browser.run("document.querySelector('[data-chart=answer]').closest('figure').textContent")
