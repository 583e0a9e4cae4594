"""`breakeven node` ends in time with one line that says what came of it, whatever happens to the engine or to it."""

import functools
import http.server
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from breakeven.app.node import fitting_line, flat_lines
from breakeven.cli import parser
from breakeven.errors import RunFailedError
from breakeven.fleet.bench import download_bit_per_s
from breakeven.fleet.jobs.nosana import definition
from breakeven.fleet.jobs.plan import read_fleet_plan
from breakeven.fleet.jobs.task import fleet_task, new_jobs
from breakeven.fleet.proof import verify
from breakeven.fleet.result import LARGEST_BYTES, Bench, Level, NodeResult, find_result, read_result
from breakeven.options import USERS
from breakeven.report.live import Live
from breakeven.session.node import NodeJob
from breakeven.session.run import run_plan
from commands import Done, breakeven, finish, heard, start
from fault_server import FaultServer
from faults import stall, status
from page_server import TwoGpus, serving

NAMED = ("--template", "t", "--job", "j1", "--seed", "s1", "--proof-memory", "1000000")
SHORT = ("--duration", "1", "--output-tokens", "8")


def result_of(done: Done, *, key: str | None = None) -> NodeResult:
    lines = [line for line in done.out.splitlines() if line.startswith("BENCH_RESULT ")]
    assert len(lines) == 1, done.err
    return read_result(lines[0], key=key)


def test_a_whole_job_measures_proves_signs_and_prints_the_flat_keys() -> None:
    with FaultServer() as server:
        settings = {
            "BREAKEVEN_TEMPLATE": "t",
            "BREAKEVEN_JOB": "j1",
            "BREAKEVEN_SEED": "s1",
            "BREAKEVEN_PROOF_MEMORY": "1000000",
            "BREAKEVEN_OUTPUT_TOKENS": "8",
            "BASE_URL": server.url,
            "DURATION": "1",
            "CONCURRENT_USERS": "1,2",
            "MAX_WAIT_TIME": "20",
            "BREAKEVEN_RESULT_KEY": "k1",
        }
        done = breakeven("node", env=settings)
    result = result_of(done, key="k1")
    assert (done.code, result.outcome, result.reason) == (0, "done", None)
    assert [level.users for level in result.levels] == [1, 2]
    assert all(level.output_tok_per_s and level.done for level in result.levels)
    assert result.proof is not None
    assert verify(result.proof, "s1") is None
    assert result.bench is not None
    assert result.bench.flop_per_s
    assert result.bench.memory_bytes_per_s
    assert f'"t.users_1_tokens_per_second_mean":{result.levels[0].output_tok_per_s:.4f}' in done.out.splitlines()


def test_cards_that_only_an_exporter_shows_are_told_with_their_power() -> None:
    with FaultServer() as server, serving(TwoGpus) as exporter:
        words = (*NAMED, "--url", server.url, "--users", "1", "--duration", "5", "--output-tokens", "8")
        result = result_of(breakeven("node", *words, "--dcgm", f"{exporter}/metrics"))
    assert [(card.index, card.name) for card in result.cards] == [(0, "NVIDIA L40S"), (1, "NVIDIA L40S")]
    assert [card.power_mean_w for card in result.cards] == [pytest.approx(120, rel=0.3), pytest.approx(30, rel=0.3)]
    assert result.levels[0].power_mean_w == pytest.approx(150, rel=0.3)


def test_an_engine_that_never_comes_fails_with_the_reason_and_the_node_proves_its_work_all_the_same() -> None:
    with FaultServer({"/v1/models": status(503)}) as server:
        done = breakeven("node", *NAMED, *SHORT, "--url", server.url, "--max-wait", "2")
    result = result_of(done)
    assert (done.code, result.outcome, result.levels) == (1, "failed", ())
    assert "was not ready after 2 s: it answers 503" in str(result.reason)
    assert result.proof is not None


def test_an_engine_that_becomes_ready_is_waited_for() -> None:
    with FaultServer({"/v1/models": [status(503), status(503), status(404)]}) as server:
        words = ("node", *NAMED, *SHORT, "--url", server.url, "--users", "1", "--model", "good")
        assert result_of(breakeven(*words)).outcome == "done"


def test_an_engine_that_hangs_is_left_at_the_time_limit() -> None:
    with FaultServer({"good": stall()}) as server:
        done = breakeven("node", *NAMED, *SHORT, "--url", server.url, "--time-limit", "6")
    result = result_of(done)
    assert (result.outcome, result.wall_s < 6) == ("failed", True)
    assert "the time limit of 6 s came first" in str(result.reason)


@pytest.mark.parametrize(("limit", "ends"), [("14", None), ("600", signal.SIGTERM)])
def test_levels_that_were_measured_are_kept_when_the_end_comes(limit: str, ends: int | None) -> None:
    with FaultServer() as server:
        words = ("--url", server.url, "--users", "1,2,3", "--duration", "3", "--output-tokens", "8")
        process = start("node", *NAMED, *words, "--time-limit", limit)
        if ends is not None:
            heard(process, "2 users: measuring")
            process.send_signal(ends)
        else:
            server_is_slow_from_now(process, server)
        done = finish(process)
    result = result_of(done)
    assert (done.code, result.outcome) == (1, "partial")
    assert [level.users for level in result.levels] in ([1], [1, 2])  # the second may end before the end comes
    assert ("ended by SIGTERM" if ends else "the time limit of 14 s") in str(result.reason)
    assert result.wall_s < 14


def server_is_slow_from_now(process: Any, server: FaultServer) -> None:
    heard(process, "2 users: measuring")
    server.play({"good": stall()})


def test_work_that_is_killed_leaves_what_it_had_and_its_signal() -> None:
    with FaultServer() as server:
        process = start("node", *NAMED, "--url", server.url, "--users", "1,2", "--duration", "2")
        heard(process, "2 users: measuring")
        work = next(
            child for child in psutil.Process(process.pid).children() if "breakeven.session.node" in child.cmdline()
        )
        work.kill()
        done = finish(process)
    result = result_of(done)
    assert result.outcome == "partial"
    assert "ended with SIGKILL" in str(result.reason)


def test_work_ends_with_a_node_that_is_killed() -> None:
    with FaultServer({"good": stall()}) as server:
        process = start("node", *NAMED, "--url", server.url)
        heard(process, "for a first token")
        (work,) = psutil.Process(process.pid).children()
        process.kill()
        finish(process, timeout_s=10)
        _, alive = psutil.wait_procs([work], timeout=10)
        assert not alive


def test_nothing_of_the_work_is_left_behind(tmp_path: Path) -> None:
    with FaultServer({"good": stall()}) as server:
        words = ("node", *NAMED, *SHORT, "--url", server.url, "--time-limit", "4")
        breakeven(*words, env={"TMPDIR": str(tmp_path)})
        assert list(tmp_path.iterdir()) == []
        assert not [
            one
            for one in psutil.process_iter(["cmdline"])
            if any(str(tmp_path) in word for word in one.info["cmdline"] or ())
        ]


@pytest.mark.parametrize(
    ("words", "env", "why"),
    [
        ((), {}, "give --template NAME, or set BREAKEVEN_TEMPLATE"),
        (("--template", "t"), {}, "give --job NAME, or set BREAKEVEN_JOB"),
        (("--template", "t t", "--job", "j"), {}, "--template and --job are names"),
        (NAMED, {"CONCURRENT_USERS": "many"}, "CONCURRENT_USERS: 'many' is no list"),
        (NAMED, {"DURATION": "soon"}, "DURATION: 'soon' is no duration"),
        ((*NAMED, "--threads", "2", "--url", "http://127.0.0.1:1"), {}, "--threads: they are those of the embedded"),
        ((*NAMED, "--download-url", "file:///etc/passwd"), {}, "--download-url: it begins with http"),
        ((*NAMED, "--users", "1,1"), {}, "1 stands twice"),
        ((*NAMED, "--url", "nonsense://x"), {}, "nonsense://x"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_done(words: tuple[str, ...], env: dict[str, str], why: str) -> None:
    done = breakeven("node", *words, env=env)
    assert done.code == 2
    assert why in done.line()
    assert find_result(done.out) is None


def test_a_line_that_is_too_long_leaves_its_cautions_out() -> None:
    levels = tuple(
        Level(users=users, output_tok_per_s=1.0, cautions=tuple(f"caution_{users}_{n}_{'x' * 40}" for n in range(64)))
        for users in range(1, 33)
    )
    line = fitting_line(made(levels=levels), key="k1")
    assert len(line) < LARGEST_BYTES
    assert read_result(line, key="k1").levels == tuple(Level(users=one.users, output_tok_per_s=1.0) for one in levels)


def made(**fields: Any) -> NodeResult:
    known = {"breakeven": "0.1.0", "template": "qwen", "job": "j", "started": "2026-11-29", "wall_s": 1.0}
    return NodeResult(**{**known, "outcome": "done", **fields})


PLAN = """
[job]
template = "qwen"
image = "i"
users = [1, 5]
download_url = "http://127.0.0.1/file"
dcgm_url = "http://127.0.0.1:9400"
[[nodes]]
market = "m"
threads = 2
"""


def test_the_grid_reads_the_flat_keys_and_the_node_knows_every_word_of_a_rendered_job() -> None:
    plan = read_fleet_plan(PLAN, where="plan")
    (job,) = new_jobs("fleet", "qwen", plan.nodes, place="nosana")
    task = fleet_task(plan, job, plan.nodes[0])
    arguments = parser().parse_args(task.words[1:])
    assert (arguments.template, arguments.users, arguments.threads) == ("qwen", USERS.read("1,5"), 2)
    level = Level(users=1, output_tok_per_s=0.00005, power_mean_w=310.5, temperature_mean_c=61.0)
    lines = list(flat_lines(made(levels=(level,), bench=Bench(download_bit_per_s=5e8))))
    assert '"qwen.download_speed_mbps":500.0000' in lines
    operation = definition(task)["ops"][-1]
    for name, value in (
        ("users_1_tokens_per_second_mean", "0.0001"),
        ("users_1_gpu_wattage_avg", "310.5000"),
        ("users_1_gpu_temperature_avg", "61.0000"),
    ):
        found = [match[1] for line in lines if (match := re.search(operation["results"][name], line))]
        assert found == [value]
        assert any(json.loads(f"{{{line}}}") == {f"qwen.{name}": float(value)} for line in lines)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))
    (tmp_path / "empty").touch()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_has_a_rate_and_a_missing_or_empty_file_has_none(files: str) -> None:
    assert download_bit_per_s(f"{files}/file") > 1e6
    for name, why in (("nothing", "404"), ("empty", "an empty answer")):
        with pytest.raises(RunFailedError, match=why):
            download_bit_per_s(f"{files}/{name}")


@pytest.mark.engine
def test_threads_reach_the_embedded_engine(tmp_path: Path) -> None:
    job = NodeJob(template="t", job="j", threads=1, users=(1,), duration_s=1.0, output_tokens=8)
    folder, _, _ = run_plan(replace(job.plan(), warmup_s=0.2), out=tmp_path, live=Live())
    assert folder.host()["engine"]["settings"]["threads"] == 1
