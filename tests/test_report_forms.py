"""Every form has the same numbers, and no form lets a server's text do more than be read."""

import csv
import io
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from pypdf import PdfReader

from breakeven.app.level import Level
from breakeven.app.report import Loaded, findings_of, write
from breakeven.cli import main
from breakeven.errors import RunFailedError, UsageError
from breakeven.findings import Findings, Prices
from breakeven.metrics.summary import RunSummary
from breakeven.reference import find_run
from breakeven.report import sections
from breakeven.report.csvform import to_csv
from breakeven.report.forms import html
from breakeven.report.html import OWN, library, page_file, to_html
from breakeven.report.jsonform import to_json
from breakeven.report.markdown import to_markdown
from breakeven.report.markup import Html, el, section
from breakeven.report.numbers import numbers
from breakeven.report.sentence import answer_text
from breakeven.report.vendor import take
from breakeven.table import Table, heads
from browser import needs_browser
from report_findings import PRICES, pair, scenario, single

EVIL = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    "\"'`=cmd|'/c calc'!A1 [x](javascript:1) @all"
)


def evil_run(gpu: str, *, text: str = EVIL) -> RunSummary:
    """A run in which every text that a server, an engine or a plan controls is hostile."""
    table: dict[str, Any] = msgspec.to_builtins(find_run(gpu, data="nosana-2024"))
    run = table["run"]
    run |= {
        "id": f"{gpu} {text}",
        "model": text,
        "started": text,
        "engine": {"name": text, "version": text, "argv": [text]},
    }
    run["host"] |= {"gpu_name": f"{gpu} {text}", "driver": text, text: text}
    run["workload"] |= {"file": text}
    run["settings"]["notes"] = [text]
    for level in table["levels"]:
        level["errors"], level["errors_by_kind"] = 1, {text: 1}
        level["cautions"] = [{"id": text, "seen": "{what}", "advice": text, "values": {"what": text}}]
    return msgspec.convert(table, RunSummary)


def evil(*, text: str = EVIL) -> Findings:
    quoted = json.dumps(text)
    prices = PRICES.replace('"prices"', quoted).replace('"a quote of 2024-09"', quoted).replace('"two cards"', quoted)
    prices = prices.replace('gpu = "RTX 4090"', f'gpu = "RTX 4090"\nlabel = {quoted}').replace(
        'title = "A100 against RTX 4090"', f"title = {quoted}"
    )
    runs = [Loaded(evil_run(gpu, text=text)) for gpu in ("a100-80", "rtx-4090")]
    asked = Prices(scenarios=(scenario(prices),))
    return findings_of(runs, level=Level(floors=(40.0,)), prices=asked, title=text, commands=[text])


def test_json_gives_the_findings_back_with_every_digit() -> None:
    found = pair(ranges="default")
    assert msgspec.json.decode(to_json(found), type=Findings) == found


def test_csv_holds_every_number_of_the_findings() -> None:
    found = pair()
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    expected = list(numbers(found))
    assert len(rows) == len(expected) > 150
    for row, number in zip(rows, expected, strict=True):
        for name in ("value", "low", "high"):
            wanted = getattr(number, name)
            assert row[name] == "" if wanted is None else float(row[name]) == wanted


def table_of(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip(" *") for cell in row.strip("|").split(" | ")] for row in rows]


def test_markdown_ranks_with_the_same_numbers() -> None:
    found = pair()
    rows = table_of(to_markdown(found))[1:3]
    for cells, row in zip(rows, found.ranking, strict=True):
        assert row.usd_per_mtok.value is not None
        assert row.capacity_tok_per_s.value is not None
        assert row.label in cells[1]
        assert float(cells[4].split()[0]) == pytest.approx(row.capacity_tok_per_s.value, rel=1e-3)
        assert float(cells[2].split()[0]) == pytest.approx(row.usd_per_mtok.value, rel=1e-3)
    assert to_markdown(found).startswith(f"**{answer_text(found).replace('_', '')}**")


def test_the_page_says_the_same_numbers() -> None:
    found = pair()
    page = to_html(found)
    shown = dict(re.findall(r'<span data-fig="([\w.]+)"[^>]*>([^<]*)</span>', page))
    assert len(shown) > 30
    for path, text in shown.items():
        part, _, name = path.rpartition(".")
        report = found.money[0].report
        figures = {"": report.comparison, "candidate": report.candidate.figures}.get(
            part, report.reference.figures if report.reference else {}
        )
        value = figures[name].value if name in figures else None
        number = re.match(r"-?[\d.,]+", text)
        if value is None:
            assert number is None, (path, text)
        else:
            assert number is not None, (path, text)
            scale = 100 if figures[name].unit == "share" else 1e6 if text.split()[0].endswith("M") else 1
            scale = 1e3 if text.split()[0].endswith("k") else scale
            told = float(number[0].replace(",", ""))
            told = told * scale if scale >= 1e3 else told / scale
            assert math.isclose(told, value, rel_tol=6e-3, abs_tol=0.5 if abs(value) > 100 else 5e-3), (
                path,
                text,
                value,
            )


@needs_browser
@pytest.mark.parametrize("form", ["png", "svg"])
def test_pictures_are_the_charts_of_the_page(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "charts"
    write(pair(ranges="default"), form, where=str(folder))
    names = {"answer", "throughput", "pareto", "breakeven", "profit", "tornado", "energy"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.{form}" for name in names}
    for path in folder.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG" if form == "png" else b"<svg ")
        assert len(data) > 5_000
    if form == "svg":
        root = ElementTree.fromstring((folder / "answer.svg").read_text(encoding="utf-8"))
        assert "USD per million output words, by the speed that a user gets" in "".join(root.itertext())


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_without_a_browser_one_line_says_so_and_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=rf"^--{form} needs a browser on PATH .*; install one .*apt install chromium"):
        write(single(), form, where=str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


@needs_browser
def test_pictures_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailedError, match="cannot write"):
        write(single(), "svg", where=str(tmp_path / "file"))


LAME = """#!{python}
import json, os, pathlib, time
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
commands = os.fdopen(3, "rb")
for text in iter(lambda: b"".join(iter(lambda: commands.read(1), b"\\0")), b""):
    asked = json.loads(text)
    if asked["method"] in {stops}:
        os.close(4)
        time.sleep(3)
        break
    told = {{"targetId": "t", "sessionId": "s", "result": {{"value": True}}}}
    os.write(4, json.dumps({{"id": asked["id"], "result": told}}).encode() + b"\\0")
    if asked["method"] == "Browser.close":
        break
"""
"""A browser that says no more from some command on, and lives on for a while."""


@pytest.mark.parametrize("stops", ["Target.createTarget", "Page.printToPDF"])
def test_a_browser_that_goes_dumb_is_said_and_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stops: str
) -> None:
    lame = tmp_path / "chromium"
    lame.write_text(LAME.format(python=sys.executable, stops=repr([stops])))
    lame.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunFailedError, match=r"^--pdf: chromium did not show the page \(TimeoutError\)"):
        write(single(), "pdf", where=str(tmp_path / "x"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@needs_browser
def test_the_pdf_says_the_answer_and_the_figures(tmp_path: Path) -> None:
    found = pair()
    write(found, "pdf", where=str(tmp_path / "report.pdf"))
    text = " ".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages)
    joined = re.sub(r"\s+", "", text)
    assert re.sub(r"\s+", "", answer_text(found)) in joined
    for row in found.ranking:
        assert f"{row.usd_per_mtok.value:.4g}" in joined


def test_no_hostile_text_becomes_an_element_of_the_page() -> None:
    page = to_html(evil())
    assert "window.hacked" in page
    assert "<img" not in page
    assert page.count("<script") == 4 + len(OWN)
    assert page.count("</script") == 4 + len(OWN)


def test_no_hostile_text_becomes_markdown() -> None:
    text = to_markdown(evil())
    assert "window.hacked" in text
    outside = re.sub(r"```sh\n.*?```", "", text, flags=re.DOTALL)
    assert "<script" not in outside
    assert "<img" not in outside
    assert not re.search(r"[^\\]\]\(", outside)
    assert not re.search(r"@\w", outside)
    assert "\n=cmd" not in text


def test_no_hostile_text_becomes_a_formula_of_a_spreadsheet() -> None:
    for row in csv.reader(io.StringIO(to_csv(evil(text="=1+1")))):
        for cell in row:
            assert not cell.startswith(("=", "+", "@"))
            assert not cell.startswith("-") or float(cell) < 0


def test_no_path_and_no_secret_leaves_in_any_form() -> None:
    found = evil(text="/home/ann/secret/models/x.gguf Bearer abcdefgh12345678")
    for form in (to_html, to_markdown, to_csv, to_json):
        text = form(found)
        assert "/home/ann" not in text
        assert "abcdefgh12345678" not in text


def test_the_policy_allows_exactly_the_scripts_of_the_page() -> None:
    page = to_html(single())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert policy[1].count("sha256-") == 4 + len(OWN)


def test_the_page_is_small_and_names_no_address_but_those_of_standards_and_licences() -> None:
    page = to_html(pair())
    assert len(page.encode()) < 1_000_000
    assert not re.search(r"<(?:link|img|iframe|script[^>]*src)", page)
    assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", page)


def test_a_new_section_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def weather(found: Findings) -> Html:
        return section("weather", "Weather", None, html(Table(heads("", "°C"), [(found.unit, "21")])))

    monkeypatch.setattr(sections, "SECTIONS", (*sections.SECTIONS, ("Weather", "weather", weather)))
    page = to_html(single())
    assert '<a href="#weather">Weather</a>' in page
    assert '<section id="weather"><h2>Weather</h2>' in page


def test_every_section_that_is_linked_has_its_id() -> None:
    page = to_html(pair())
    linked = re.findall(r'<a href="#([\w-]+)">', page.partition("</nav>")[0])
    assert len(linked) == 6
    assert [name for name in linked if page.count(f'id="{name}"') != 1] == []


def test_an_element_escapes_what_is_no_markup() -> None:
    assert el("p", "<b>", el("i", "&"), title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert el("input", disabled=True, value=None) == "<input disabled>"
    assert el("p", Html("<b>x</b>")) == "<p><b>x</b></p>"


def test_the_vendored_libraries_are_the_ones_that_were_taken() -> None:
    import hashlib

    folder = Path(take.__file__).parent
    for taken in json.loads((folder / "vendor.json").read_text(encoding="utf-8")):
        assert hashlib.sha256((folder / taken["file"]).read_bytes()).hexdigest() == taken["sha256"]
        assert taken["licence"] == "ISC"
        assert "Permission to use" in library(taken["file"])
    assert "</script" not in "".join(page_file(name) for name in (*OWN, "index.js"))


def test_the_command_writes_each_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES, encoding="utf-8")
    runs = ["nosana-2024:a100-80", "nosana-2024:rtx-4090"]
    files = {form: str(tmp_path / f"report.{form}") for form in ("html", "csv", "json")}
    words = [word for form, path in files.items() for word in (f"--{form}", path)]
    assert main(["report", *runs, "--scenario", str(prices), "--floor", "40", *words, "--md", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("**")
    page = Path(files["html"]).read_text(encoding="utf-8")
    answer = answer_text(msgspec.json.decode(Path(files["json"]).read_bytes(), type=Findings))
    assert answer in re.sub(r"</?output[^>]*>", "", page)
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give at least one RUN"),
        (["nowhere"], "does not exist"),
        (["nosana-2024:rtx-4090", "--md", "-", "--csv", "-"], "only one form"),
        (["nosana-2024:rtx-4090", "--scenario", "ownr"], "did you mean 'owner'"),
        (["nosana-2024:rtx-4090", "--floor", "fast"], "is no list of numbers"),
        (["--serve", "runs", "--html", "x"], "leave RUN and the forms out"),
    ],
)
def test_wrong_usage_is_told_in_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_every_option_is_in_the_docs() -> None:
    from breakeven.cli import parser

    commands: Any = next(action for action in parser()._actions if action.dest == "command")
    text = (Path(__file__).parent.parent / "docs" / "REPORT.md").read_text(encoding="utf-8")
    options = [option for action in commands.choices["report"]._actions for option in action.option_strings]
    assert [option for option in options if option.startswith("--") and option not in text] == ["--help"]


def test_every_file_that_was_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    words = ["report", "nosana-2024:rtx-4090", "--html", str(page), "--csv", str(table)]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"page: {page}", f"CSV: {table}"]
    assert main([*words, "--md", "-"]) == 0
    shown = capsys.readouterr()
    assert f"page: {page}" in shown.err
    assert "page:" not in shown.out


def test_a_summary_of_another_format_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"format": 9, "run": {}, "levels": []}')
    for command in ("show", "report"):
        assert main([command, str(path)]) == 2
        assert "a summary of format 9; this version reads formats 1 and 2" in capsys.readouterr().err


def test_a_folder_that_holds_only_a_summary_is_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode(find_run("rtx-4090", data="nosana-2024")))
    for run in (tmp_path, tmp_path / "summary.json"):
        assert main(["report", str(run), "--md", "-"]) == 0
        assert "RTX 4090" in capsys.readouterr().out
