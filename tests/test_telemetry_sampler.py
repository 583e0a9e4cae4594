"""The process that samples, really started: its beat, its end, its file, and what a kill leaves."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pytest

from breakeven.clock import now_s
from breakeven.engine.base import OpenAI
from breakeven.engine.llamacpp import Llamacpp
from breakeven.engine.ollama import Ollama
from breakeven.engine.vllm import Vllm
from breakeven.errors import RunFailedError
from breakeven.launch.launched import Launched
from breakeven.metrics.enginecount import AT_END
from breakeven.metrics.series import Samples, Series
from breakeven.metrics.telemetry import telemetry_figures
from breakeven.record import LevelFacts, Record
from breakeven.store.samples import read_samples, seal_samples
from breakeven.telemetry.handle import REMOTE, Sampler, Wanted, sources_for
from breakeven.telemetry.sampler import NICE
from page_server import serving

HOST_ONLY = Wanted({"host": {}}, {})


def of(samples: Samples, source: str, name: str, *, device: str | None = None) -> Series:
    found = samples.of(source, name, device=device)
    assert isinstance(found, Series)
    return found


def is_gone(pid: int, *, within_s: float) -> bool:
    """Whether the process ends soon; a zombie that nobody waits for is gone too."""
    until_s = now_s() + within_s
    while now_s() < until_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def package(root: Path) -> Path:
    """A CPU package of sysfs with its counter at 1 J."""
    zone = root / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("1000000\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    return zone


# what is sampled


def test_a_local_engine_is_sampled_with_its_machine() -> None:
    wanted = sources_for(
        urls=["http://127.0.0.1:8000/"], engine=Vllm(), is_local=True, headers={"Authorization": "Bearer x"}
    )
    assert set(wanted.sources) == {"host", "company", "nvml", "rapl", "engine"}
    assert wanted.sources["engine"]["urls"] == ["http://127.0.0.1:8000/metrics"]
    assert wanted.sources["engine"]["headers"] == {"Authorization": "Bearer x"}
    assert wanted.sources["company"] == {"port": 8000, "in_socket_file": False}
    assert wanted.missing == {}


def test_a_remote_engines_energy_is_not_read_on_the_clients_machine() -> None:
    wanted = sources_for(urls=["http://gpu-box:11434"], engine=Ollama, is_local=False)
    assert set(wanted.sources) == {"host", "company"}
    assert wanted.sources["company"] == {"port": None, "in_socket_file": False}
    assert wanted.missing == {"nvml": REMOTE, "rapl": REMOTE, "engine": "engine 'ollama' has no metrics"}


def test_a_plain_server_is_asked_for_metrics_all_the_same() -> None:
    wanted = sources_for(urls=["http://h:1"], engine=OpenAI, is_local=False)
    assert wanted.sources["engine"]["urls"] == ["http://h:1/metrics"]


# the beat


def test_it_samples_ten_times_a_second_and_reads_energy_on_the_runs_clock(tmp_path: Path) -> None:
    zone = package(tmp_path / "powercap")
    zero_s = now_s() - 100.0
    wanted = Wanted({"host": {}, "rapl": {"root": str(tmp_path / "powercap")}}, {"nvml": "told before"})
    with Sampler(tmp_path, zero_s=zero_s, wanted=wanted) as sampler:
        ready_s = now_s() - zero_s
        assert sampler.pid is not None
        assert os.getpriority(os.PRIO_PROCESS, sampler.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        time.sleep(1.0)
        (zone / "energy_uj").write_text("4000000\n")
        time.sleep(1.0)
        stop_s = now_s() - zero_s
    samples = read_samples(tmp_path)
    stamps = of(samples, "host", "cpu_busy_s").at_s
    assert stamps[0] <= ready_s
    assert stamps[-1] >= stop_s, "the last look comes after the end of what was to be measured"
    assert 12 <= len(stamps) <= 26
    assert float(np.median(np.diff(stamps))) == pytest.approx(0.1, abs=0.03)
    energy = of(samples, "rapl", "energy_j", device="package-0")
    assert (energy.values[0], energy.values[-1]) == (0.0, 3.0)
    assert samples.missing == {"nvml": "told before"}


def test_what_this_machine_lacks_is_written_with_its_reason(tmp_path: Path) -> None:
    wanted = Wanted({"rapl": {"root": str(tmp_path / "none")}, "host": {"root": str(tmp_path / "none")}}, {})
    with Sampler(tmp_path, zero_s=now_s(), wanted=wanted):
        pass
    samples = read_samples(tmp_path)
    assert samples.series == {}
    assert "no CPU package" in samples.missing["rapl"]
    assert "Linux only" in samples.missing["host"]


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"


def test_an_engine_that_does_not_answer_delays_neither_the_samples_nor_the_end(
    tmp_path: Path, silent_server: str
) -> None:
    wanted = Wanted({"host": {}, "engine": {"urls": [silent_server], "names": {"running_requests": ["a"]}}}, {})
    with Sampler(tmp_path, zero_s=now_s(), wanted=wanted):
        time.sleep(1.5)
        begun_s = now_s()
    assert now_s() - begun_s < 3.0
    stamps = of(read_samples(tmp_path), "host", "cpu_busy_s").at_s
    assert len(stamps) >= 8
    assert float(np.max(np.diff(stamps[:-1]))) < 1.0


class Metrics(BaseHTTPRequestHandler):
    """Prometheus text that counts the times it was asked; 401 without the key, 503 at the third time."""

    asked = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked += 1
        refused = self.headers["Authorization"] != "Bearer secret-key"
        self.send_response(401 if refused else 503 if cls.asked == 3 else 200)
        self.end_headers()
        self.wfile.write(f'vllm:num_requests_running{{a="b"}} {cls.asked}\nother 7\n'.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def metrics_url() -> Iterator[str]:
    Metrics.asked = 0
    with serving(Metrics) as url:
        yield url


def test_the_engine_is_asked_once_a_second_past_any_proxy_and_the_key_is_kept_nowhere(
    tmp_path: Path, metrics_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    wanted = sources_for(
        urls=[metrics_url], engine=Vllm, is_local=False, headers={"Authorization": "Bearer secret-key"}
    )
    with Sampler(tmp_path, zero_s=now_s(), wanted=wanted) as sampler:
        arguments = Path(f"/proc/{sampler.pid}/cmdline").read_bytes()
        until_s = now_s() + 10.0
        while Metrics.asked < 3 and now_s() < until_s:
            time.sleep(0.02)
        time.sleep(0.2)
        text = sampler.path.read_text(encoding="utf-8")
    samples = read_samples(tmp_path)
    running = of(samples, "engine", "running_requests")
    # asked at 0, 1 and 2 s, refused at the third time, and asked once more at the end
    assert running.values.tolist() == [1.0, 2.0, 4.0]
    assert np.diff(running.at_s)[0] == pytest.approx(1.0, abs=0.4)
    assert samples.missing["engine.metrics"] == "/metrics: it answers 503"
    assert samples.missing["engine.kv_use_share"] == "the engine does not tell it"
    assert b"secret-key" not in arguments
    assert "secret-key" not in text + sampler.path.read_text(encoding="utf-8")


# the end


def test_it_ends_with_its_input_and_a_second_stop_does_nothing(tmp_path: Path) -> None:
    with Sampler(tmp_path, zero_s=now_s(), wanted=HOST_ONLY) as sampler:
        assert sampler.pid is not None
        sampler.stop()
        assert is_gone(sampler.pid, within_s=0.5)
    assert read_samples(tmp_path).missing == {}


def test_it_does_not_outlive_a_parent_that_is_killed_and_its_samples_stay(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from breakeven.clock import now_s;"
        "from breakeven.telemetry.handle import Sampler, Wanted;"
        "s = Sampler(Path(sys.argv[1]), zero_s=now_s(), wanted=Wanted({'host': {}}, {})).__enter__();"
        "print(s.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout as pipe:
        pid = int(pipe.readline())
    time.sleep(0.5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert is_gone(pid, within_s=3.0)
    assert len(of(read_samples(tmp_path), "host", "cpu_busy_s").at_s) >= 4


def test_a_sampler_that_is_killed_leaves_its_samples_and_a_reason(tmp_path: Path) -> None:
    with Sampler(tmp_path, zero_s=now_s(), wanted=HOST_ONLY) as sampler:
        time.sleep(1.6)
        assert sampler.pid is not None
        os.kill(sampler.pid, signal.SIGKILL)
    samples = read_samples(tmp_path)
    assert len(of(samples, "host", "cpu_busy_s").at_s) >= 5
    assert samples.missing == {"host": "the sampler ended early (exit code -9): no word"}


def test_a_sampler_that_cannot_write_leaves_the_run_alone_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("in the way")
    with Sampler(tmp_path, zero_s=now_s(), wanted=HOST_ONLY) as sampler:
        assert sampler.pid is None
    assert read_samples(tmp_path).series == {}


def test_a_sampler_that_breaks_gives_the_last_line_of_its_error(tmp_path: Path) -> None:
    with Sampler(tmp_path, zero_s=now_s(), wanted=Wanted({"warp": {}}, {})):
        pass
    (why,) = read_samples(tmp_path).missing.values()
    assert "exit code 1" in why
    assert "no telemetry source is called 'warp'" in why


# on disk


def test_sealed_samples_are_the_same_and_duckdb_reads_them(tmp_path: Path) -> None:
    with Sampler(tmp_path, zero_s=now_s(), wanted=Wanted({"host": {}}, {"nvml": "no driver"})):
        time.sleep(0.4)
    before = read_samples(tmp_path)
    seal_samples(tmp_path)
    seal_samples(tmp_path)
    assert [path.name for path in (tmp_path / "telemetry").iterdir()] == ["start00.parquet"]
    after = read_samples(tmp_path)
    assert after.missing == before.missing == {"nvml": "no driver"}
    assert set(after.series) == set(before.series)
    for key, series in before.series.items():
        assert after.series[key].at_s.tolist() == series.at_s.tolist()
        assert after.series[key].values.tolist() == series.values.tolist()
    rows = duckdb.execute(
        f"select count(*), max(cpu_busy_s), any_value(source) from '{tmp_path}/telemetry/*.parquet'"
    ).fetchall()
    busy = of(before, "host", "cpu_busy_s")
    assert rows == [(len(busy.at_s), float(busy.values.max()), "host")]


def test_a_run_that_is_resumed_gets_a_further_file_and_all_are_read_together(tmp_path: Path) -> None:
    zero_s = now_s()
    for start in range(3):
        with Sampler(tmp_path, zero_s=zero_s, wanted=HOST_ONLY) as sampler:
            assert sampler.path.name == f"start{start:02d}.jsonl"
        if start == 0:
            seal_samples(tmp_path)
    stamps = of(read_samples(tmp_path), "host", "cpu_busy_s").at_s
    assert len(stamps) == 6
    assert (np.diff(stamps) > 0).all()


def test_a_line_that_a_kill_broke_off_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    folder.mkdir()
    row = {"at_s": 1.5, "source": "nvml", "device": "0", "power_w": 70.0}
    (folder / "start00.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"at_s": 1.6})[:-7])
    assert of(read_samples(tmp_path), "nvml", "power_w", device="0").at_s.tolist() == [1.5]
    (folder / "start00.jsonl").write_bytes(b"\x00\xff\n[1]\n" + json.dumps(row).encode())
    assert of(read_samples(tmp_path), "nvml", "power_w", device="0").at_s.tolist() == [1.5]


def test_a_start_without_a_sample_is_sealed_too(tmp_path: Path) -> None:
    (tmp_path / "telemetry").mkdir()
    (tmp_path / "telemetry" / "start00.jsonl").write_text('{"missing": {"nvml": "why"}}\n')
    seal_samples(tmp_path)
    assert read_samples(tmp_path) == Samples(series={}, missing={"nvml": "why"})


def test_a_run_of_old_has_no_telemetry_and_a_strange_file_is_refused(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == Samples(series={}, missing={})
    (tmp_path / "telemetry").mkdir()
    duckdb.sql(f"copy (select 1 as at_s) to '{tmp_path}/telemetry/start00.parquet' (format parquet)")
    with pytest.raises(RunFailedError, match="was not written by breakeven"):
        read_samples(tmp_path)


# the real engine


def complete(engine: Launched, *, tokens: int) -> int:
    """A whole answer of the embedded engine; the tokens that it says it made."""
    connection = http.client.HTTPConnection(engine.url.removeprefix("http://"), timeout=60)
    body = {"prompt": "Once upon a time", "max_tokens": tokens, "ignore_eos": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    made: int = msgspec.json.decode(connection.getresponse().read())["usage"]["completion_tokens"]
    connection.close()
    return made


@pytest.mark.engine
def test_the_real_engines_own_count_of_tokens_is_ours(tmp_path: Path, embedded_engine: Launched) -> None:
    zero_s = now_s()
    wanted = sources_for(urls=[embedded_engine.url], engine=Llamacpp, is_local=True)
    records = []
    with Sampler(tmp_path, zero_s=zero_s, wanted=wanted):
        open_s = now_s() - zero_s
        time.sleep(1.2)
        for k in range(4):
            sent_s = now_s() - zero_s
            tokens = complete(embedded_engine, tokens=16)
            end_s = now_s() - zero_s
            chunk_us = np.array([round((end_s - sent_s) * 1e6)], dtype="<u4").tobytes()
            records.append(
                Record(
                    user=0,
                    k=k,
                    due_s=sent_s,
                    sent_s=sent_s,
                    end_s=end_s,
                    chunk_us=chunk_us,
                    output_tokens=tokens,
                    status="done",
                )
            )
        time.sleep(2.2)
        close_s = now_s() - zero_s
    facts = LevelFacts(users=1, start_s=0.0, open_s=open_s, close_s=close_s)
    figures = telemetry_figures(facts, records, samples=read_samples(tmp_path), output_tokens=64)
    assert figures["engine_tokens"] == figures["engine_tokens_ours"] == 64.0
    assert figures["engine_tokens_difference"] == 0.0
    assert figures["engine_counts"] in (AT_END, "as they are made")
    assert 0.0 <= figures["engine_running_mean_requests"] <= 1.0
    assert figures["engine_kv_use_max_share"] is None
    assert figures["engine_kv_use_max_share_reason"] == "the engine does not tell it"
    assert 0.0 < figures["sampler_cpu_share"] < 0.5
