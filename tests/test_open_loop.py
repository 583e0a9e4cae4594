"""An open loop sends when requests are due, whatever the server does, and latency counts from then."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from breakeven.cautions import judged_level
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.errors import UsageError
from breakeven.load.arrivals import arrival_times_s, parse_arrivals
from breakeven.metrics.checks import Backlog, check_level
from breakeven.metrics.definitions import ttft_s
from breakeven.metrics.goodput import judged
from breakeven.metrics.slo import parse_slo
from breakeven.record import LevelFacts, Record
from breakeven.store.folder import RunFolder
from commands import breakeven
from fault_answers import answer
from fault_server import FaultServer, closed_port
from fault_wire import Play, Wire
from in_flight import FALLS_BEHIND, KEEPS_UP, called_saturated
from levels import Run, a_plan, levels

QUICK = Settings(ttft_s=0.02, itl_s=0.004)


def times(count: int, *, req_per_s: float, arrivals: str, ramp_s: float = 0.0, seed: str = "0") -> np.ndarray[Any, Any]:
    due = arrival_times_s(req_per_s=req_per_s, variation=parse_arrivals(arrivals), ramp_s=ramp_s, seed=seed)
    return np.fromiter(itertools.islice(due, count), dtype=np.float64)


def a_rate(req_per_s: float, **fields: Any) -> Any:
    known: dict[str, Any] = {"users": None, "req_per_s": req_per_s, "ramp_s": 0.0, "warmup_s": 0.2}
    return a_plan(**known | fields)


def lateness_s(run: Run, server: ReferenceServer) -> np.ndarray[Any, Any]:
    """How long after it was due each request was at the server."""
    stamps = server.stamps()
    at_s = dict(zip(stamps.tag.tolist(), stamps.arrival_s.tolist(), strict=True))
    return np.array([at_s[r.prompt] - r.due_s - run.zero_s for r in run.records if r.prompt in at_s])


def twice(check: Callable[[], bool]) -> bool:
    """Timing on a busy machine: once more, where it went wrong once."""
    return check() or check()


# the schedule


def test_constant_arrivals_come_in_equal_steps() -> None:
    np.testing.assert_allclose(times(5, req_per_s=4, arrivals="constant"), [0.125, 0.375, 0.625, 0.875, 1.125])


@pytest.mark.parametrize(("arrivals", "variation"), [("poisson", 1.0), ("gamma:0.5", 0.5), ("gamma:2.5", 2.5)])
def test_gaps_have_the_mean_and_the_variation_that_were_asked_for(arrivals: str, variation: float) -> None:
    gaps = np.diff(times(40_000, req_per_s=8, arrivals=arrivals), prepend=0.0)
    assert gaps.mean() == pytest.approx(1 / 8, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)
    assert (gaps >= 0).all()


def test_poisson_arrivals_are_exponential() -> None:
    gaps = np.diff(times(20_000, req_per_s=1, arrivals="poisson"))
    for quantile in (0.25, 0.5, 0.9):
        assert np.quantile(gaps, quantile) == pytest.approx(-np.log(1 - quantile), rel=0.05)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_over_the_ramp_the_rate_rises_in_a_straight_line(arrivals: str) -> None:
    due = times(30_000, req_per_s=100, arrivals=arrivals, ramp_s=100.0)
    counts = [((due > start) & (due <= start + 20)).sum() for start in (0, 40, 80, 100, 120)]
    # 100 req/s x 20 s x the mean of t / 100 over the 20 s: 0.1, 0.5, 0.9; then the full rate
    np.testing.assert_allclose(counts, [200, 1000, 1800, 2000, 2000], rtol=0.15 if arrivals == "poisson" else 0.01)


def test_the_same_seed_gives_the_same_schedule_and_another_another() -> None:
    one, again, other = (times(100, req_per_s=5, arrivals="poisson", seed=seed) for seed in ("a", "a", "b"))
    assert (one == again).all()
    assert (one != other).all()


@pytest.mark.parametrize(
    "text", ["gamma", "gamma:", "gamma:0", "gamma:-1", "gamma:x", "uniform", "poisson:2", "", "gamma:nan"]
)
def test_arrivals_that_are_not_known_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--arrivals"):
        parse_arrivals(text)


# on the wire


@pytest.mark.parametrize("clients", [1, 2, 3])
def test_all_clients_together_send_just_the_schedule_of_one(clients: int) -> None:
    with ReferenceServer(QUICK) as server:
        (run,) = levels(server.url, a_rate(60.0, duration_s=0.6), clients=clients, is_open=True)
    due_s = sorted(record.due_s - run.facts.start_s for record in run.records)
    expected = times(len(due_s), req_per_s=60.0, arrivals="poisson", seed="0/60.0/0")
    np.testing.assert_allclose(due_s, expected, rtol=0, atol=1e-6)
    assert sorted(record.k for record in run.records) == list(range(1, len(due_s) + 1))
    assert all((record.k - 1) % clients == record.client for record in run.records)
    assert len({record.prompt for record in run.records}) == len(due_s)


def test_requests_reach_the_server_when_they_are_due() -> None:
    def check() -> bool:
        with ReferenceServer(QUICK) as server:
            (run,) = levels(server.url, a_rate(100.0), is_open=True)
            late_s = lateness_s(run, server)
        (client,) = run.facts.clients
        assert late_s.min() >= 0
        assert client.schedule_lag_p50_s is not None
        assert client.schedule_lag_p99_s is not None
        assert client.schedule_lag_p50_s <= client.schedule_lag_p99_s
        return bool(np.median(late_s) < 0.003 and client.schedule_lag_p50_s < 0.002)

    assert twice(check)


def test_ttft_counts_from_when_a_request_was_due() -> None:
    with ReferenceServer(QUICK) as server:
        (run,) = levels(server.url, a_rate(50.0), is_open=True)
        stamps = server.stamps()
    first_s = {str(tag): stamps.writes_of(i)[0] for i, tag in enumerate(stamps.tag) if len(stamps.writes_of(i))}
    done = [record for record in run.records if record.status == "done"]
    assert len(done) > 20
    for record in done:
        assert (ttft_s(record) or 0.0) >= first_s[str(record.prompt)] - record.due_s - run.zero_s


def one_slot(then: Play) -> Play:
    """A server with a single place: others wait in a line."""
    place = threading.Lock()

    def play(wire: Wire) -> None:
        with place:
            then(wire)

    return play


def test_a_server_slower_than_the_rate_shows_in_every_later_ttft_and_is_called_saturated() -> None:
    """20 requests a second, 0.1 s each: the i-th waits for i x (0.1 - 0.05) s, as in a D/D/1 queue."""
    plan = a_rate(20.0, arrivals="constant", warmup_s=0.0, duration_s=2.5, max_duration_s=2.5)
    with FaultServer(one_slot(answer(ttft_s=0.1, tokens=1))) as server:
        (run,) = levels(server.url, plan, is_open=True)
    first = [ttft_s(record) for record in sorted(run.records, key=lambda record: record.due_s)]
    seen = [value for value in first if value is not None]
    assert len(seen) >= 15
    for i, value in enumerate(seen):
        assert 0.1 + 0.05 * i - 0.002 <= value < (0.1 + 0.05 * i) * 1.2 + 0.05
    level = judged_level(run.facts, run.records)
    assert level.extra["saturated"] is True
    assert level.extra["backlog_growth_req_per_s"] == pytest.approx(10, rel=0.15)
    assert "saturated" in {caution.id for caution in level.cautions}
    assert not level.steady
    assert level.of("ttft_s").censored > 0
    assert judged(level, parse_slo("tpot_p50=10s"))[0] != "met"


def test_a_server_that_keeps_up_is_not_saturated() -> None:
    with FaultServer(one_slot(answer(ttft_s=0.01, tokens=1))) as server:
        (run,) = levels(server.url, a_rate(20.0, duration_s=1.5), is_open=True)
    assert judged_level(run.facts, run.records).extra["saturated"] is False


def test_requests_keep_coming_when_nobody_answers_and_count_from_when_they_were_due() -> None:
    with closed_port() as url:
        (run,) = levels(url, a_rate(40.0, warmup_s=0.5), is_open=True)
    assert run.facts.stopped == "failed"
    due_s = sorted(record.due_s - run.facts.start_s for record in run.records)
    np.testing.assert_allclose(due_s, times(len(due_s), req_per_s=40.0, arrivals="poisson", seed="0/40.0/0"), atol=1e-6)
    assert {(record.error, record.sent_s) for record in run.records} == {("connect", None)}
    assert all(record.end_s >= record.due_s for record in run.records)


def test_time_to_connect_is_inside_ttft() -> None:
    with FaultServer(answer(tokens=1, end="close")) as server:
        (run,) = levels(server.url, a_rate(30.0), is_open=True)
    for record in run.records:
        if record.status == "done":
            assert record.connect_s is not None
            assert (ttft_s(record) or 0.0) >= record.connect_s + 0.02


def test_a_schedule_that_no_client_can_keep_still_ends_in_time_and_says_how_late_it_was() -> None:
    began_s = time.perf_counter()
    with ReferenceServer(Settings(ttft_s=0.005, itl_s=0.0), connections=4000) as server:
        plan = a_rate(40_000.0, arrivals="constant", warmup_s=0.0, duration_s=0.3, max_duration_s=0.3)
        (run,) = levels(server.url, plan, is_open=True, tokens=1)
    assert time.perf_counter() - began_s < 20
    level = judged_level(run.facts, run.records)
    assert (level.client.schedule_lag_p99_s or 0.0) > 0.002
    assert level.client.verdict == "suspect"
    due = [record for record in run.records if 0 <= record.due_s - (run.facts.open_s or 0.0) < 0.3]
    assert len(due) == pytest.approx(0.3 * 40_000, rel=0.01)  # also those that there was no time to send
    assert any(record.sent_s is None for record in due)
    assert level.of("ttft_s").p50.value is None


def test_the_window_of_an_open_loop_opens_when_the_server_is_filled() -> None:
    with ReferenceServer(Settings(ttft_s=0.2, itl_s=0.1)) as server:
        filled, capped = levels(
            server.url,
            a_rate(20.0, longest_fill_s=5.0),
            a_rate(20.0, longest_fill_s=0.1),
            is_open=True,
        )
    for run, late_s in ((filled, 0.2 + 0.9), (capped, 0.2 + 0.1)):  # 0.9 s last answers of eight tokens
        assert run.facts.open_s is not None
        assert run.facts.open_s - run.facts.start_s == pytest.approx(late_s, abs=0.25)
    early = [record for record in filled.records if record.due_s < filled.facts.start_s + 0.2]
    assert early
    assert all(record.end_s <= (filled.facts.open_s or 0.0) for record in early)
    assert judged_level(filled.facts, filled.records).extra["saturated"] is False


@pytest.mark.parametrize("name", KEEPS_UP)
def test_a_server_that_keeps_up_is_hardly_ever_called_saturated(name: str) -> None:
    assert called_saturated(KEEPS_UP[name], window_s=60.0, runs=60) <= 0.05


@pytest.mark.parametrize("name", [name for name in FALLS_BEHIND if "120%" in name or "200%" in name])
def test_a_server_that_falls_behind_is_called_saturated(name: str) -> None:
    assert called_saturated(FALLS_BEHIND[name], window_s=120.0, runs=20) >= 0.8


def test_the_command_says_of_each_level_what_came_back_and_how_late_requests_were_sent(tmp_path: Path) -> None:
    load = ("--rate", "10,60", "--arrivals", "constant", "--duration", "2.5", "--warmup", "0", "--output-tokens", "1")
    with FaultServer({"*": one_slot(answer(ttft_s=0.04, tokens=1))}) as server:
        done = breakeven("run", "--url", server.url, *load, "--out", tmp_path)
    assert done.code == 0, done.err
    slow, fast = re.findall(
        r"^ (\d+) req/s: ([\d.]+) req/s answered( \(saturated\))?, sent ([\d.]+) ms late", done.out, re.M
    )
    assert (slow[0], slow[2]) == ("10", "")
    assert float(slow[1]) == pytest.approx(10, abs=0.5)
    assert (fast[0], fast[2]) == ("60", " (saturated)")
    assert float(fast[1]) < 26
    (run,) = tmp_path.iterdir()
    assert fast[1] + " req/s answered (saturated), sent " + fast[3] in breakeven("show", run).out
    page = breakeven("report", run, "--md", "-").out
    assert f"| {fast[1]} (saturated) | {fast[3]} ms |" in page


# backlog


def an_open_level(in_flight_s: Callable[[float], float], *, req_per_s: float = 10.0) -> tuple[LevelFacts, list[Record]]:
    """Evenly due requests over 50 s; each is over after so long."""
    records = []
    for k, due_s in enumerate(np.arange(0.0, 50.0, 1 / req_per_s).tolist()):
        end_s = due_s + in_flight_s(due_s)
        status: Any = "done" if end_s < 50 else "cut"
        records.append(Record(user=0, k=k + 1, due_s=due_s, sent_s=due_s, end_s=min(end_s, 50.0), status=status))
    facts = LevelFacts(users=None, req_per_s_offered=req_per_s, start_s=0.0, open_s=10.0, close_s=50.0, stopped="max")
    return facts, records


def backlog(in_flight_s: Callable[[float], float]) -> Backlog:
    checks = check_level(*an_open_level(in_flight_s))
    assert checks is not None
    assert checks.backlog is not None
    return checks.backlog


def test_backlog_grows_by_what_comes_less_what_goes() -> None:
    # a request due at t is over at t / 0.8: 8 a second end where 10 come
    found = backlog(lambda due_s: due_s / 0.8 - due_s)
    assert found.is_growing
    assert found.growth_req_per_s == pytest.approx(2.0, rel=0.02)


def test_a_backlog_that_stays_is_not_growing() -> None:
    found = backlog(lambda _: 3.0)
    assert not found.is_growing
    assert found.growth_req_per_s == pytest.approx(0.0, abs=0.01)


def test_growth_by_less_than_two_requests_is_none() -> None:
    assert not backlog(lambda due_s: 0.5 + 0.002 * due_s).is_growing


def test_a_wave_is_no_growth() -> None:
    assert not backlog(lambda due_s: 2.0 + float(np.sin(due_s))).is_growing


def test_a_closed_loop_has_no_backlog() -> None:
    facts, records = an_open_level(lambda _: 3.0)
    from msgspec.structs import replace

    checks = check_level(replace(facts, users=30, req_per_s_offered=None), records)
    assert checks is not None
    assert checks.backlog is None


# a trace


@pytest.mark.parametrize(("clients", "speed"), [("1", 1), ("2", 2)])
def test_a_trace_is_replayed_to_its_end_and_every_answer_is_waited_for(
    tmp_path: Path, clients: str, speed: int
) -> None:
    offsets = [0.0, 0.05, 0.4, 0.41, 0.42, 0.9, 1.3, 1.31]
    rows = [f"2024-05-10 00:00:{10 + at_s:09.6f},{20 + i},{5 + i}" for i, at_s in enumerate(offsets)]
    file = tmp_path / "azure.csv"
    file.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]) + "\n")
    words = ["run", "--workload", "trace", "--file", str(file), "--clients", clients, "--option", f"speed={speed}"]
    words += ["--out", str(tmp_path / "runs"), "--json", str(tmp_path / "out.json")]
    with ReferenceServer(Settings(ttft_s=0.3, itl_s=0.02)) as server:
        argv = [sys.executable, "-m", "breakeven", *words, "--url", server.url]
        subprocess.run(argv, check=True, capture_output=True, timeout=60, env=dict(os.environ))
    (folder,) = (tmp_path / "runs").iterdir()
    ((facts, records),) = RunFolder.open(folder).levels()
    records.sort(key=lambda record: record.due_s)
    assert [record.status for record in records] == ["done"] * 8
    np.testing.assert_allclose(np.diff([record.due_s for record in records]), np.diff(offsets) / speed, atol=1e-6)
    assert [record.output_tokens for record in records] == [5 + i for i in range(8)]
    assert (facts.stopped, facts.measured_requests) == ("requests", 8)
    (level,) = json.loads((tmp_path / "out.json").read_text())["levels"]
    assert level["distributions"]["ttft_s"]["n"] == 8
    assert level["distributions"]["ttft_s"]["censored"] == 0
    assert (
        level["requests"] == level["distributions"]["e2e_s"]["n"] == 8
    )  # the last of them ended after the last was sent
    assert level["window_s"] == pytest.approx(1.31 / speed, abs=1e-3)  # first due to last due


def test_a_trace_that_asks_everything_at_one_moment_is_measured_to_its_last_answer(tmp_path: Path) -> None:
    file = tmp_path / "at_once.csv"
    file.write_text("arrival_s,input_tokens,output_tokens\n" + "5,20,10\n" * 6)
    out = tmp_path / "out.json"
    words = ["run", "--workload", "trace", "--file", str(file), "--out", str(tmp_path / "runs"), "--json", str(out)]
    with ReferenceServer(Settings(ttft_s=0.3, itl_s=0.02)) as server:
        argv = [sys.executable, "-m", "breakeven", *words, "--url", server.url]
        subprocess.run(argv, check=True, capture_output=True, timeout=60, env=dict(os.environ))
    (level,) = json.loads(out.read_text())["levels"]
    assert (level["requests"], level["output_tokens"]) == (6, 60)
    assert level["window_s"] == pytest.approx(0.3 + 9 * 0.02, abs=0.15)
