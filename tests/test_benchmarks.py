"""The scripts of benchmarks/: what they say where a tool cannot be had, and what they call the truth."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pytest
from msgspec.structs import replace

from breakeven.client.reference import Settings, Stamps
from breakeven.metrics.level import summarise_level
from builders import a_record

BENCHMARKS: Final = Path(__file__).resolve().parent.parent / "benchmarks"


def _script(name: str, *words: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )


def test_an_environment_that_nobody_knows_is_wrong_usage_with_the_known_names() -> None:
    done = _script("environments.py", "vlm")
    assert done.returncode == 2
    assert "did you mean 'vllm'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_that_cannot_be_installed_is_refused_with_its_reason_in_one_line(tmp_path: Path) -> None:
    no_packages = {"BREAKEVEN_CACHE": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = _script("environments.py", "aiperf", env=no_packages)
    assert done.returncode == 3
    assert done.stdout == ""
    reason = done.stderr.splitlines()[-1]
    assert reason.startswith("aiperf: ")
    assert "uv==" in reason


def test_a_half_made_environment_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    python = tmp_path / "environments" / "aiperf" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    no_packages = {"BREAKEVEN_CACHE": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    assert _script("environments.py", "aiperf", env=no_packages).returncode == 3


def test_a_tool_that_nobody_knows_is_wrong_usage() -> None:
    done = _script("second_opinion.py", "--tools", "guidelm")
    assert done.returncode == 2
    assert "did you mean 'guidellm'?" in done.stderr


def test_breakeven_alone_reads_what_the_reference_server_wrote(tmp_path: Path) -> None:
    file = tmp_path / "opinion.json"
    done = _script("second_opinion.py", "--tools", "breakeven", "--users", "5", "--waves", "3", "--json", str(file))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(file.read_text())["rows"]
    reading, truth = row["reading"], row["truth"]
    assert reading["output_tok_per_s"] == pytest.approx(truth["output_tok_per_s"], rel=0.02)
    assert reading["tpot_mean_s"] == pytest.approx(truth["tpot_mean_s"], rel=0.02)
    assert reading["ttft_p50_s"] >= truth["ttft_p50_s"]
    # 5 x 128 / (0.05 + 127 x 0.01)
    assert row["ideal_tok_per_s"] == pytest.approx(484.848, rel=1e-5)


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_of_benchmarks", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truth() -> ModuleType:
    return _module("truth")


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    return _module("coverage")


@pytest.mark.parametrize("name", ["uniform lengths", "uniform lengths, 8 slots"])
def test_the_intervals_of_a_minute_hold_what_they_promise(coverage: ModuleType, name: str) -> None:
    """A small piece of the table in docs/STEADY.md."""
    loop = coverage.LOOPS[name]
    found = coverage.row(loop, answers=coverage.simulate(loop, runs=25, seed=3), window_s=60.0)
    medians = [cell for figure, cell in found.cells.items() if figure.endswith("p50")]
    assert np.mean([cell.after for cell in found.cells.values()]) > 0.9
    assert np.mean([cell.before for cell in medians]) < np.mean([cell.after for cell in medians]) - 0.1


@pytest.mark.parametrize(
    ("name", "caution"),
    [
        ("fixed lengths, 8 slots", "places_kept"),
        ("uniform lengths, speed wavers by 10 %, τ 20 s", "speed_wavers"),
    ],
)
def test_where_intervals_do_not_hold_a_run_says_so(coverage: ModuleType, name: str, caution: str) -> None:
    loop = coverage.LOOPS[name]
    found = coverage.row(loop, answers=coverage.simulate(loop, runs=25, seed=3), window_s=60.0)
    assert min(cell.after for cell in found.cells.values()) < 0.8
    assert found.cautions[caution] > 0.8


def test_a_speed_that_wavers_for_a_few_answers_is_told_in_short_windows_too() -> None:
    """The row of docs/STEADY.md through the real client: windows of 8 s, whose twentieths are shorter than 0.5 s."""
    client = _module("coverage_client")
    _, found = client.simulated("uniform lengths, speed wavers by 10 %, τ 1 s", 0.0, 30, 8.0)
    assert found.cautions["speed_wavers"] > 0.8
    _, steady = client.simulated("uniform lengths", 0.0, 30, 8.0)
    assert steady.cautions.get("speed_wavers", 0.0) <= 0.05


@pytest.mark.parametrize(("loads", "repeats", "window_s"), [(1, 1, 60.0), (4, 1, 15.0), (1, 4, 15.0), (2, 2, 15.0)])
def test_a_run_that_equals_another_does_not_fail_a_gate(
    coverage: ModuleType, loads: int, repeats: int, window_s: float
) -> None:
    """A small piece of the tables in docs/COMPARE.md."""
    loop = coverage.LOOPS["uniform lengths, speed wavers by 10 %, τ 20 s"]
    answers = coverage.simulate(loop, runs=25 * loads * repeats, seed=3, until_s=20.0 + window_s)
    found = coverage.false_alarms(answers, loop=loop, window_s=window_s, repeats=repeats, loads=loads)
    assert np.mean(list(found.values())) <= 0.05


@pytest.mark.parametrize("shape", ["smooth", "slots", "roofline", "falling", "knee"])
def test_the_interval_of_k_holds_and_the_named_levels_narrow_it(shape: str) -> None:
    """A small piece of the table in docs/COMPARE.md: of 16 at most 3 miss, as 93 in 100 draws of 90 % have it.

    The intervals of before would miss 6 of 16 on the shapes with a kink.
    """
    coverage_k = _module("coverage_k")
    found = coverage_k.row(shape, runs=16, seed=5, draws=200)
    assert coverage_k.coverage(found.before) >= 13 / 16
    assert coverage_k.coverage(found.after) >= 13 / 16
    assert all(one.more <= 2 * coverage_k.MOST_MORE for one in found.after)
    before, after = (np.median([one.half for one in seen]) for seen in found)
    assert after < 0.5 * before


def _stamps(arrivals_s: list[float], *, tokens: list[int], late_s: float = 0.0) -> Stamps:
    """Requests that get their first token 1 s after they arrive and one more each second."""
    due = [arrival + 1.0 + np.arange(count) for arrival, count in zip(arrivals_s, tokens, strict=True)]
    due_s = np.concatenate(due).astype(np.float64)
    count = len(arrivals_s)
    return Stamps(
        arrival_s=np.array(arrivals_s),
        begun_s=np.array(arrivals_s),
        first=np.concatenate([[0], np.cumsum(tokens)]).astype(np.int64),
        write_s=due_s + late_s,
        due_s=due_s,
        input_tokens=np.full(count, 8),
        output_tokens=np.array(tokens),
        peer_port=np.zeros(count, dtype=np.int64),
        streamed=np.ones(count, dtype=np.bool_),
        gone=np.zeros(count, dtype=np.bool_),
        tag=np.array(["x"] * count),
    )


SECONDS: Final = Settings(ttft_s=1.0, itl_s=1.0)


def test_the_truth_of_a_whole_load_is_its_tokens_from_first_request_to_last_write(truth: ModuleType) -> None:
    # two users in step, two waves of four tokens: 16 tokens in 8 s
    stamps = _stamps([0, 0, 4, 4], tokens=[4, 4, 4, 4], late_s=0.25)
    found = truth.truth_of(stamps, since=0, settings=SECONDS, output_tokens=4, span_s=None)
    assert found.output_tok_per_s == pytest.approx(16 / 8.25)
    assert found.ttft_p50_s == pytest.approx(1.25)
    assert found.tpot_mean_s == pytest.approx(1.0)
    assert found.lateness_p99_s == pytest.approx(0.25)
    assert found.requests == 4


def test_the_middle_of_a_load_is_a_whole_number_of_answers(truth: ModuleType) -> None:
    # the middle of 8.25 s is one answer of 4 s long: 2.125 s to 6.125 s, where both users write at 2.25 … 5.25 s
    stamps = _stamps([0, 0, 4, 4], tokens=[4, 4, 4, 4], late_s=0.25)
    found = truth.truth_of(stamps, since=0, settings=SECONDS, output_tokens=4, span_s=None)
    assert found.middle_tok_per_s == pytest.approx(8 / 4)


def test_requests_before_the_load_and_probes_are_no_part_of_it(truth: ModuleType) -> None:
    stamps = _stamps([0, 50, 100, 104], tokens=[4, 1, 4, 4])
    found = truth.truth_of(stamps, since=1, settings=SECONDS, output_tokens=4, span_s=None)
    assert found.requests == 2
    assert found.output_tok_per_s == pytest.approx(8 / 8)


def test_a_span_counts_what_was_written_inside_of_it_whatever_its_length(truth: ModuleType) -> None:
    # from 2.5 s to 6.5 s: the first answer's tokens at 3 and 4 s, the short second one's at 5 and 6 s
    stamps = _stamps([0, 4], tokens=[4, 2])
    found = truth.truth_of(stamps, since=0, settings=SECONDS, output_tokens=4, span_s=(2.5, 6.5))
    assert found.output_tok_per_s == pytest.approx(4 / 4)
    assert found.requests == 1


def test_a_load_that_never_came_has_no_truth(truth: ModuleType) -> None:
    stamps = _stamps([0], tokens=[4])
    assert truth.truth_of(stamps, since=1, settings=SECONDS, output_tokens=4, span_s=None) == truth.NO_TRUTH


@pytest.fixture(scope="module")
def scripted() -> ModuleType:
    return _module("scripted")


UNEVEN: Final = Settings(
    ttft_s=0.05, ttft_sigma=0.3, itl_s=0.01, noise=0.2, wave=0.1, tau_s=0.1, lengths="uniform:1,63"
)
MEAN_TTFT_S: Final = 0.05 * math.exp(0.3**2 / 2)
ANSWER_S: Final = MEAN_TTFT_S + 31 * 0.01
SPEED: Final = math.exp((0.2**2 + 0.1**2) / 2)
"""Seconds of work that the machine does a second, on average."""


@pytest.mark.parametrize(
    ("script", "users", "tok_per_s"),
    [
        (UNEVEN, {"count": 10}, 10 * 32 / ANSWER_S * SPEED),
        (replace(UNEVEN, slots=4), {"count": 10}, 4 * 32 / ANSWER_S * SPEED),
        (replace(UNEVEN, noise=0.0, wave=0.0), {"count": 10, "think_s": 0.2}, 10 * 32 / (ANSWER_S + 0.2)),
        (replace(UNEVEN, noise=0.0, wave=0.0), {"count": 10, "turn_s": 0.05}, 10 * 32 / (ANSWER_S + 0.05)),
        (replace(UNEVEN, lengths="0.5*8+0.5*56"), {"count": 10}, 10 * 32 / ANSWER_S * SPEED),
    ],
)
def test_the_long_run_of_a_script_is_what_its_formula_says(
    scripted: ModuleType, script: Settings, users: dict[str, float], tok_per_s: float
) -> None:
    found = scripted.truth(script, scripted.Users(most_tokens=63, **users), open_s=2.0, long_s=60.0)
    assert found["output_tok_per_s"] == pytest.approx(tok_per_s, rel=0.02)
    assert found["tpot_s_p50"] == pytest.approx(0.01, rel=0.05)
    assert found["ttft_s_p50"] == pytest.approx(0.05, rel=0.05) or script.slots


def test_the_records_of_a_simulated_level_are_those_of_its_answers(scripted: ModuleType) -> None:
    users = scripted.Users(count=5, most_tokens=63)
    facts, records = scripted.level(UNEVEN, users, open_s=1.0, window_s=4.0)
    summary = summarise_level(facts, records)
    tokens = sum(
        int(((answer.arrived_s > 1.0) & (answer.arrived_s <= 5.0)).sum())
        for answer in scripted.simulate(UNEVEN, users, until_s=5.0)
    )
    assert summary.output_tok_per_s.value == pytest.approx(tokens / 4.0, rel=1e-3)
    assert {record.user for record in records} == set(range(5))


def test_what_a_turn_takes_beyond_its_script_by_hand(scripted: ModuleType) -> None:
    """Answers of 2 and 3 s by the script are seen in 2.25 and 3.25 s; 0.25 s and a pause of 1 s lie between them."""
    stamps = _stamps([0.125, 3.625], tokens=[2, 3])
    first = a_record(user=1, k=0, due_s=0.0, chunks_at_s=[1.25, 2.25])
    then = a_record(user=1, k=1, due_s=3.5, chunks_at_s=[4.75, 5.75, 6.75])
    cut = a_record(user=1, k=2, due_s=8.0, chunks_at_s=[9.0], status="cut")
    assert scripted.lost_s([[first, then, cut]], stamps, think_s=1.0) == pytest.approx(0.25 + 0.25)


def test_an_engine_is_busy_from_a_tool_s_first_request_to_the_last_token_for_it() -> None:
    stamps = _stamps([0, 10, 12], tokens=[2, 3, 2])
    # the second request comes at 10 and its third token at 13; the third's second token at 14
    assert _module("time_to_precision").busy_s(stamps, since=1) == pytest.approx(4.0)


class _Bench:
    """Tools that are right from a number of requests on; each request keeps the engine busy for 10 ms."""

    def __init__(self, module: ModuleType, *, right_from: float) -> None:
        self._module, self._right_from = module, right_from

    def row(self, tool: str, setting: Any, *, rounds: int, is_default: bool) -> Any:
        read = 1.0 if setting.amount >= self._right_from else 0.9
        tries = [self._module.Try(read, setting.amount / 100, None)] * rounds
        return self._module.Row(tool, setting.said(), is_default, tries)


@pytest.mark.parametrize(
    ("right_from", "tried"),
    [
        (300, ["500 requests", "250 requests"]),
        (3000, ["2000 requests", "4000 requests"]),
        (0, ["500 requests", "250 requests", "125 requests", "62 requests", "31 requests"]),  # 15.6 < a request a user
        (1e9, ["2000 requests", "4000 requests"]),  # 8000 would take longer than a minute
    ],
)
def test_the_shortest_setting_is_looked_for_by_halves_and_doubles(right_from: float, tried: list[str]) -> None:
    module = _module("time_to_precision")
    bench, setting = _Bench(module, right_from=right_from), module.DEFAULTS["vllm bench serve"]
    begun = bench.row("x", setting, rounds=2, is_default=True)
    assert [row.setting for row in module.shortest(bench, begun, setting, rounds=2)] == tried


@pytest.fixture(scope="module")
def warm_up() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))  # as Python does for a script
    try:
        return _module("warm_up")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(
    "name",
    ["uniform lengths, quick", "bimodal lengths, quick, 50 users", "bimodal lengths", "uniform lengths, 8 slots"],
)
def test_a_window_opens_when_the_throughput_is_what_it_stays(warm_up: ModuleType, name: str) -> None:
    of = warm_up.bias(warm_up.LOOPS[name], runs=100, seed=11)
    assert abs(of.mean) < 3 * of.error
    assert of.error < 0.01


def test_a_window_that_opens_too_early_would_be_seen(warm_up: ModuleType) -> None:
    early = warm_up.bias(warm_up.LOOPS["bimodal lengths"], runs=100, seed=11, asked_s=1.2)
    assert early.mean < -5 * early.error


def test_at_most_a_third_of_short_levels_on_a_quick_server_is_warm_up(warm_up: ModuleType) -> None:
    assert warm_up.share_of_four("uniform", seed=1) < 1 / 3
