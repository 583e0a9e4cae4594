"""A metric is one function and one row: a row that is added here is found in every form that claims to walk METRICS."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from breakeven.app.report import Loaded, findings_of, load_folder
from breakeven.app.runs import read_run
from breakeven.compare.gate import gate
from breakeven.compare.pool import pool
from breakeven.compare.runs import compare_runs
from breakeven.findings import Findings
from breakeven.findings.pooled import one_a_load
from breakeven.metrics.definitions import METRICS, Metric, first_chunk_s
from breakeven.metrics.goodput import judge
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.stored import decode_summary
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.record import Record
from breakeven.report.csvform import to_csv
from breakeven.report.html import to_html
from breakeven.report.markdown import to_markdown
from breakeven.report.terminal import print_run
from breakeven.report.words import definitions
from report_runs import make_run

SHARE = 0.25
EXAMPLE = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-llamacpp-chat"


def quarter_s(record: Record) -> float | None:
    """A quarter of TTFT: its figures are known from those of TTFT."""
    first_s = first_chunk_s(record)
    return None if first_s is None else SHARE * (first_s - record.due_s)


ROW = Metric(
    *(quarter_s, "quarter", "s", "TTFT / 4"),
    short="quarter",
    over="due",
    shown=("p50", "p95"),
    is_limited=True,
)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setitem(METRICS, "quarter_s", ROW)
    return load_folder(make_run(tmp_path, users=(1, 5, 20), window_s=5.0))


@pytest.fixture
def run(loaded: Loaded) -> RunSummary:
    return loaded.run


@pytest.fixture
def found(loaded: Loaded) -> Findings:
    return findings_of([loaded])


def median_s(level: LevelSummary) -> float:
    value = level.of("quarter_s").p50.value
    ttft_s = level.of("ttft_s").p50.value
    assert value is not None
    assert ttft_s is not None
    assert value == pytest.approx(SHARE * ttft_s)
    return value


def test_a_new_row_is_in_the_summary_and_comes_back_from_its_json(run: RunSummary) -> None:
    assert decode_summary(msgspec.json.encode(run)) == run
    assert all(median_s(level) for level in run.levels)


def test_a_new_row_is_a_column_of_the_terminal(run: RunSummary) -> None:
    out = io.StringIO()
    print_run(Console(file=out, width=140), run)
    assert "quarter ms" in out.getvalue()
    assert all(f" {median_s(level) * 1e3:.1f} " in out.getvalue() for level in run.levels)


def test_a_new_row_is_in_the_csv_with_its_interval(found: Findings, run: RunSummary) -> None:
    rows = [line.split(",") for line in to_csv(found).splitlines() if ",quarter_s_p50," in line]
    assert [float(row[4]) for row in rows] == [median_s(level) for level in run.levels]
    assert all(row[-1] == "s" for row in rows)


@pytest.mark.parametrize(("form", "edge"), [(to_html, ">"), (to_markdown, " | ")])
def test_a_new_row_is_a_column_of_the_level_table(form: object, edge: str, found: Findings, run: RunSummary) -> None:
    assert callable(form)
    text = form(found)
    assert f"{edge}quarter p50" in text
    assert all(f"{edge}{median_s(level) * 1e3:.1f} ms" in text for level in run.levels)


def test_a_new_row_is_explained_in_the_report(found: Findings) -> None:
    assert ("quarter", "TTFT / 4") in definitions(found)


def test_a_new_row_is_pooled_over_repeats(run: RunSummary) -> None:
    twice = (run.levels[0], msgspec.structs.replace(run.levels[0], repeat=1))
    (level,) = pool(msgspec.structs.replace(run, levels=twice)).levels
    assert level.figures["quarter_p50"].value == pytest.approx(median_s(run.levels[0]))
    (one,) = one_a_load(twice)
    assert median_s(one) == pytest.approx(median_s(run.levels[0]))


def test_a_new_row_can_be_limited_gated_and_compared(run: RunSummary) -> None:
    level = run.levels[-1]
    (limit,) = parse_slo(f"quarter_p50={median_s(level) * 0.9}s").limits
    assert judge(level, limit)[0] == "missed"
    assert gate("quarter_p50@20 <= 3 * reference", run, run).verdict == "passed"
    (comparison,) = compare_runs(run, [run], slo=parse_slo(f"quarter_p50={median_s(level) * 0.9}s"))
    assert comparison.k_at_slo[0].value == pytest.approx(1.0)


def test_a_summary_of_format_1_is_read_with_the_same_figures() -> None:
    stored = read_run(EXAMPLE / "summary.json")
    derived = read_run(EXAMPLE)
    assert msgspec.json.decode((EXAMPLE / "summary.json").read_bytes())["format"] == 1
    assert stored.format == 2
    for one, again in zip(stored.levels, derived.levels, strict=True):
        assert len(one.distributions) == 6
        for name in one.distributions:
            for which in ("p50", "p95", "p99"):
                assert one.of(name).at(which).value == pytest.approx(again.of(name).at(which).value)


def test_the_two_speeds_of_a_user_have_a_name_each(found: Findings, run: RunSummary) -> None:
    """Throughput / users holds the wait for the first token; 1 / TPOT, interactivity, does not."""
    told = to_csv(found)
    for level in run.levels:
        assert level.users is not None
        throughput, tpot_s = level.output_tok_per_s.value, level.of("tpot_s").p50.value
        assert throughput is not None
        assert tpot_s is not None
        waits, answers = throughput / level.users, 1 / tpot_s
        assert waits < answers
        assert f",output_tok_per_s_per_user,{waits!r}," in told
        assert f",tok_per_s_per_user_p50,{answers!r}," in told
    for text in (to_html(found), to_markdown(found)):
        assert "tok/s a user: throughput / users, waits included" in text
        assert "interactivity: 1 / TPOT, tok/s while answering" in text
    out = io.StringIO()
    print_run(Console(file=out, width=100), run)
    assert "tok/s a user" not in " ".join(out.getvalue().split())
    assert "interactivity: 1 / TPOT, tok/s while answering" in out.getvalue()
