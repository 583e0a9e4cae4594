"""The one table lines up, says its units, and fits where it is shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from breakeven.metrics.summary import Estimate, LevelSummary
from breakeven.report import mdtext
from breakeven.report.forms import csv_text, html, markdown, screen
from breakeven.report.markup import el
from breakeven.report.terminal import throughput_chart
from breakeven.say import Ends, in_doubt, interval, more, plus_minus
from breakeven.table import Bar, Cell, Column, Styled, Table, Told, heads, lines
from breakeven.units import short_count
from terminal import at_a_terminal, without_styles

RUN = Path(__file__).parent.parent / "examples/cpu-llamacpp-vs-vllm/smollm2-135m-llamacpp-chat"


def a_table() -> Table:
    columns = (
        Column("card", align="left"),
        Column("rent", "USD/h"),
        Column("", ""),
        Column("p50", over="TTFT ms"),
        Column("p95", over="TTFT ms", goes=1),
        Column("by", align="left", goes=2),
    )
    return Table(columns, [("RTX 4090", "0.28", "", "9", "12", "max"), ("H100", Styled("1.87", "red"))])


def test_columns_line_up_under_their_heads() -> None:
    assert lines(a_table()) == [
        "                      TTFT ms",
        "card      rent USD/h  p50  p95  by",
        "RTX 4090        0.28    9   12  max",
        "H100            1.87",
    ]


def test_a_table_without_heads_has_no_line_for_them() -> None:
    assert lines(Table(heads("", ""), [("a", "b"), ("long", "7")])) == ["a     b", "long  7"]


def test_a_narrow_line_loses_the_columns_that_go_first() -> None:
    assert lines(a_table(), width=32)[1:3] == ["card      rent USD/h  p50  p95", "RTX 4090        0.28    9   12"]
    assert lines(a_table(), width=29)[1:3] == ["card      rent USD/h      p50", "RTX 4090        0.28        9"]


def test_where_no_column_may_go_the_gaps_do() -> None:
    table = Table((Column("a"), Column("b")), [("11", "22")])
    assert lines(table, width=5) == [" a  b", "11 22"]


def test_a_terminal_shows_the_same_lines_in_its_styles() -> None:
    shown = screen(a_table(), width=80)
    assert shown.plain.split("\n") == lines(a_table())
    assert "red" in {str(span.style) for span in shown.spans}


def test_a_terminal_of_60_columns_shows_whole_words_on_one_line_a_level() -> None:
    told = without_styles(at_a_terminal("show", RUN, columns=60)).splitlines()
    assert all(len(line.rstrip()) <= 60 for line in told if not line.startswith("run folder"))
    (head,) = [line for line in told if line.strip().startswith("users")]
    assert head.split() == ["users", "rep.", "tok/s", "±", "p50", "p50", "errors", "stopped", "by"]
    assert any(line.split()[:5] == ["1", "1–3", "77.5", "30", "%"] for line in told)


def test_no_color_is_obeyed() -> None:
    assert "\x1b[36m" in at_a_terminal("show", RUN, NO_COLOR="")
    told = at_a_terminal("show", RUN, NO_COLOR="1")
    assert not any(f"\x1b[{code}m" in told for code in range(30, 38))


@pytest.mark.parametrize("words", [("show", RUN), ("runs", "--out", RUN.parent), ("gpus",), ("prices",)])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(words: tuple[object, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "breakeven", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_bars_are_as_long_as_their_values_and_light_from_the_low_end_on() -> None:
    levels = [
        LevelSummary(users=1, status="done", output_tok_per_s=Estimate(value=50.0, ci95=(10.0, 400.0))),
        LevelSummary(users=2, status="done", output_tok_per_s=Estimate(value=100.0, ci95=(90.0, 110.0))),
    ]
    chart = throughput_chart(levels)
    assert chart is not None
    bars = [line.split()[-1] for line in lines(chart)]
    assert bars == ["█" * 4 + "░" * 16, "█" * 36 + "░" * 4]


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((0.95, 1.2), "0.95–1.20"),
        ((0.0034, 0.0041), "0.0034–0.0041"),
        ((0.99, None), "0.99, no bound above"),
        ((None, 1.2), "no bound below, 1.20"),
        ((None, None), "no bound on either side"),
    ],
)
def test_an_interval_has_one_form(ends: tuple[float | None, float | None], told: str) -> None:
    assert interval(*ends) == told


def test_an_interval_of_signed_ends_is_not_written_with_a_dash() -> None:
    assert interval(-0.031, 0.012, more) == "-3.1 % to +1.2 %"


@pytest.mark.parametrize(
    ("value", "ends", "told"),
    [
        (100.0, (95.0, 105.0), "5.0 %"),
        (100.0, (90.0, 110.0), "10 %"),
        (77.5, (57.0, 103.2), "30 %"),
        (100.0, (40.0, 160.0), "40.0–160"),
        (100.0, (90.0, None), "open"),
        (100.0, (None, None), "–"),
        (None, (1.0, 2.0), "–"),
    ],
)
def test_a_half_width_has_one_form(value: float | None, ends: tuple[float | None, float | None], told: str) -> None:
    assert plus_minus(value, ends, short_count) == told


def test_markdown_says_on_which_side_a_column_stands() -> None:
    table = Table((Column("card", align="left"), Column("rent", "USD/h")), [("RTX 4090", Styled("0.28", "red"))])
    assert markdown(table) == ["| card | rent USD/h |", "|:--|--:|", "| RTX 4090 | 0.28 |"]


def test_html_escapes_a_cell_unless_it_is_html() -> None:
    table = Table((Column("card", align="left"), Column("rent")), [("<b>", "1"), ("x", el("b", "2"))])
    assert html(table) == (
        '<div class="scroll"><table>'
        '<thead><tr><th scope="col">card</th><th scope="col" class="n">rent</th></tr></thead>'
        '<tbody><tr><th scope="row">&lt;b&gt;</th><td class="n">1</td></tr>'
        '<tr><th scope="row">x</th><td class="n"><b>2</b></td></tr></tbody></table></div>'
    )


def a_told_table() -> Table:
    cost = Told("0.28", "0.2–0.3", doubts=["few answers"], figure="candidate.x", formula="a / b", source="a <quote>")
    columns = (Column("card", align="left"), Column("rent", "USD/h", name="figure"), Column("", align="left"))
    bars = Told("", bar=Bar(0.5, (0.25, 0.75), 1, dashed=True)), Told("", bar=Bar(1.0))
    rows: list[list[Cell]] = [["Cards"], [Told("RTX 4090", key="A"), cost, bars[0]], ["H100 | x", "1.87", bars[1]]]
    return Table(columns, rows, best=1)


def test_a_told_cell_is_its_text_interval_and_bar_in_lines() -> None:
    assert lines(a_told_table(), width=50) == [
        "card               rent USD/h",
        "Cards",
        "  A: RTX 4090  0.28 (0.2–0.3)  █████░░░░░",
        "  H100 | x               1.87  ███████████████████",
    ]


def test_a_told_cell_is_safe_in_markdown_and_the_best_row_bold() -> None:
    assert [*mdtext.told(a_told_table())] == [
        "| card | rent USD/h |",
        "|:--|--:|",
        "| **Cards** |  |",
        "| **A: RTX 4090** | 0.28 (0.2–0.3) |",
        "| H100 \\| x | 1.87 |",
        "",
    ]


def test_a_told_cell_says_all_it_knows_on_the_page() -> None:
    shown = html(a_told_table(), name="t", style="stack")
    assert '<table id="t" class="stack">' in shown
    assert '<tr class="group"><th colspan="3" scope="colgroup">Cards</th></tr>' in shown
    assert '<tr class="best"><th scope="row"><span class="key">A</span><span>RTX 4090</span></th>' in shown
    assert (
        '<td class="n figure" data-label="rent USD/h"><span data-fig="candidate.x" title="a / b">0.28</span>' in shown
    )
    assert 'aria-label="1 caution: RTX 4090">⚠ 1</button><div id="t-1-1" popover="auto"' in shown
    assert '<small>0.2–0.3</small><small class="source" title="a &lt;quote&gt;">a &lt;quote&gt;</small>' in shown
    assert '<svg class="rankbar s1 predicted" aria-hidden="true"><rect x="0" y="15%" width="50.00%"' in shown
    assert '<line x1="25.00%" x2="75.00%" y1="50%" y2="50%">' in shown
    assert '<svg class="rankbar srest"' in shown


def test_csv_leaves_what_is_undefined_empty_and_quotes_formulas() -> None:
    assert csv_text(["name", "n", "x"], [("=1+1", 3, None), ("a,b", 4, 0.1)]) == 'name,n,x\n\'=1+1,3,\n"a,b",4,0.1\n'


def test_a_list_of_cards_fits_a_terminal_of_80_columns() -> None:
    told = without_styles(at_a_terminal("gpus", columns=80)).splitlines()
    rows = [line for line in told if line.startswith(("key", "rtx", "a100", "h100"))]
    assert len(rows) > 5
    assert all(len(line) <= 80 for line in rows)


def test_running_text_is_no_wider_than_the_terminal() -> None:
    study = RUN.parent
    told = without_styles(
        at_a_terminal("compare", RUN, study / "smollm2-135m-vllm-chat", "--floor", "12", columns=80)
    ).splitlines()
    table = [line for line in told if line.lstrip().startswith(("users", "100"))]
    assert table
    assert all(len(line) <= 80 for line in table)


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((95.0, 105.0), "± 5.0 %"),
        ((40.0, 180.0), "(40.0–180)"),
        ((95.0, None), "(95.0, no bound above)"),
        ((None, None), ""),
    ],
)
def test_a_value_in_a_line_is_followed_by_its_doubt_or_by_nothing(ends: Ends, told: str) -> None:
    assert in_doubt(100.0, ends, short_count) == told
