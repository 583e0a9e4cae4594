"""The local page over a folder of runs: it lists, compares and follows, and answers nobody else."""

import http.client
import json
import re
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped]
import pytest

from breakeven.app.serve import Shelf, serve
from breakeven.cost.inputs import Deployment, Scenario
from breakeven.errors import RunFailedError, UsageError
from breakeven.record import LevelFacts
from breakeven.report.server import MOST_CONNECTIONS, allowed_hosts, make_server
from breakeven.store.folder import RunFolder
from browser import Browser, needs_browser
from commands import finish, heard, start
from report_runs import make_run, records
from test_report_look import axe

HOSTILE = "<img src=x onerror=window.hacked=1>"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Served(NamedTuple):
    port: int
    out: Path
    runs: list[RunFolder]

    def get(self, path: str, *, host: str | None = None, method: str = "GET") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{self.port}"})
        answer = connection.getresponse()
        found = Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        connection.close()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    out = tmp_path_factory.mktemp("runs")
    runs = [
        make_run(out, users=(1, 5, 20), window_s=4.0),
        make_run(out, gpu="NVIDIA L4", engine="sglang", model=HOSTILE, users=(1, 5, 20), window_s=4.0, tpot_s=0.02),
    ]
    server = make_server(Shelf(out).source(), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Served(int(server.server_address[1]), out, runs)
    server.shutdown()
    thread.join()
    server.server_close()


def test_clients_that_drop_or_hold_half_open_connections_hold_nothing_up(tmp_path: Path) -> None:
    """Dropped ones made 770 tracebacks; 800 half-open ones held a thread each for ever."""
    out = tmp_path / "runs"
    make_run(out, users=(1, 5), window_s=4.0)
    process = start("report", "--serve", out, "--port", "0", env={"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    port = int(re.findall(r":(\d+)/", process.stdout.readline())[0])
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", port)) as dropping:
            dropping.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            dropping.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    for one in held:
        one.sendall(b"GET / HTTP/1.1\r\n")
    time.sleep(0.5)
    assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) < MOST_CONNECTIONS + 20
    for one in held[:20]:
        one.close()
    time.sleep(0.5)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/api/runs", headers={"Host": "127.0.0.1"})
    assert connection.getresponse().status == 200
    for one in held:
        one.close()
    process.send_signal(signal.SIGINT)
    done = finish(process, timeout_s=20)
    assert (done.code, done.err) == (130, "breakeven: interrupted\n")


def test_the_list_names_every_run_newest_first(served: Served) -> None:
    told = json.loads(served.get("/api/runs").text)["runs"]
    assert {run["id"] for run in told} == {run.id for run in served.runs}
    one = next(run for run in told if run["hardware"] == "RTX 4090")
    assert (one["engine"], one["levels"], one["running"], one["error"]) == ("vLLM 0.23.1", 3, False, None)
    assert (one["status"], one["workload"], one["load"], one["errors"]) == ("done", "fixed", "1, 5 and 20 users", 0)
    assert one["started"].startswith("2026-11-01T12:00")
    assert one["best"] > 100


def test_one_run_and_two_runs_have_a_page(served: Served) -> None:
    ids = [run.id for run in served.runs]
    alone = served.get(f"/report?run={ids[0]}")
    assert alone.status == 200
    assert "RTX 4090 with vLLM serves" in alone.text
    both = served.get(f"/report?run={ids[0]}&run={ids[1]}")
    assert "the work of one RTX 4090 with vLLM" in both.text
    assert "<img" not in both.text


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/report",
        "/report?run=..%2f..%2fetc",
        "/report?run=nowhere",
        "/../../etc/passwd",
        "/api/live",
        "/api/live?run=%00",
    ],
)
def test_nothing_but_the_runs_of_the_folder_is_served(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 404
    assert str(served.out) not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]:80"])
def test_another_name_is_turned_away_against_dns_rebinding(served: Served, host: str) -> None:
    assert served.get("/api/runs", host=host or " ").status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8700"])
def test_names_of_this_machine_are_answered(served: Served, host: str) -> None:
    assert served.get("/api/runs", host=host).status == 200


def test_an_open_address_answers_to_addresses_and_not_to_names() -> None:
    assert allowed_hosts("0.0.0.0") is None
    assert "gpu-box" in (allowed_hosts("GPU-box") or ())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(served: Served, method: str) -> None:
    assert served.get("/api/runs", method=method).status == 501


def test_every_answer_forbids_what_it_does_not_need(served: Served) -> None:
    for path in ("/", "/api/runs", f"/report?run={served.runs[0].id}", "/nothing"):
        headers = served.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    assert served.get("/", method="HEAD").text == ""


def test_a_running_level_can_be_watched(served: Served) -> None:
    """Records that are in the log so far make a line; more of them make it longer."""
    folder = make_run(served.out, users=(1,), window_s=3.0, name="growing")
    facts = LevelFacts(users=4, start_s=20.0)
    log = folder.start_level(facts)
    made = sorted(records(4, tpot_s=0.01, ttft_s=0.05, start_s=20.0, end_s=30.0), key=lambda record: record.end_s)
    seen = []
    for half in (made[: len(made) // 2], made[len(made) // 2 :]):
        for record in half:
            log.put(record)
        log.close() if half[-1] is made[-1] else _flushed(log.path)
        told = json.loads(served.get(f"/api/live?run={folder.id}").text)
        seen.append(told["series"][-1]["end_s"])
    assert told["series"][-1]["load"] == "4 users"
    assert "warming up" in told["now"]
    assert seen[0] < seen[1]
    row = next(run for run in json.loads(served.get("/api/runs").text)["runs"] if run["id"] == folder.id)
    assert row["running"]
    shutil.rmtree(folder.path)


def test_what_is_watched_and_listed_is_counted_in_the_runs_own_unit(tmp_path: Path) -> None:
    of_words = make_run(tmp_path, users=(1,), window_s=4.0, settings={"unit": "words"}, name="words")
    of_tokens = make_run(tmp_path, users=(1,), window_s=4.0, name="tokens")
    shelf = Shelf(tmp_path)
    assert [shelf.live(one.id)["unit"] for one in (of_words, of_tokens)] == ["words", "tok"]
    assert [rows(tmp_path)[one.id]["unit"] for one in (of_words, of_tokens)] == ["words", "tok"]


def test_picked_runs_of_one_cell_are_shown_over_time(served: Served) -> None:
    first, other = (run.id for run in served.runs)
    again = make_run(served.out, users=(1, 5, 20), window_s=4.0, name="again")
    told = served.get(f"/history?run={first}&run={again.id}")
    assert told.status == 200
    assert "Output throughput: no sure change in 2 runs." in told.text
    assert "unsafe" not in told.headers["Content-Security-Policy"]
    differs = served.get(f"/history?run={first}&run={other}")
    assert (differs.status, "differ in model" in differs.text) == (404, True)
    assert served.get(f"/history?run={first}").status == 404
    shutil.rmtree(again.path)


def test_a_scenario_without_a_reference_prices_a_run_alone_and_says_so_where_several_are_picked(tmp_path: Path) -> None:
    ids = [make_run(tmp_path, users=(1, 5), window_s=4.0, name=name).id for name in ("a", "b")]
    alone = Scenario(name="mine", candidate=Deployment(gpu="RTX 4090", rent_usd_per_h=0.5))
    said = "The scenario mine has no [reference]"
    shelf = Shelf(tmp_path, scenarios=[alone])
    assert said in shelf.source().note
    assert said not in shelf.report(ids[:1])
    assert said in shelf.report(ids)
    both = Scenario(name="both", candidate=alone.candidate, reference=alone.candidate)
    fits = Shelf(tmp_path, scenarios=[both])
    assert fits.source().note == ""
    assert said not in fits.report(ids)


def _flushed(path: Path) -> None:
    """Until the writer has written what it was given: the size has grown and stands still."""
    import time

    size = -1
    while path.stat().st_size != size or size < 1000:
        size = path.stat().st_size
        time.sleep(1.2)


def filtered(browser: Browser, text: str) -> None:
    browser.run(
        f"(() => {{ const field = document.querySelector('#filter'); field.value = '{text}';"
        "field.dispatchEvent(new Event('input')); })()"
    )


@needs_browser
def test_the_list_is_filtered_and_two_runs_are_compared_in_a_browser(served: Served, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as browser:
        browser.look()
        browser.open(f"http://127.0.0.1:{served.port}/")
        assert browser.run("document.querySelectorAll('#runs tbody tr').length") == 2
        filtered(browser, "sglang l4")
        assert browser.run("document.querySelectorAll('#runs tbody tr').length") == 1
        assert "1 of 2 runs" in browser.run("document.querySelector('#count').textContent")
        filtered(browser, "")
        for index in (0, 1):
            browser.run(f"document.querySelectorAll('#runs input[type=checkbox]')[{index}].click()")
        assert browser.run("document.querySelector('#compare').textContent") == "Compare 2 runs"
        browser.run("document.querySelector('#compare').click()")
        browser.wait("document.querySelector('#answer') && document.documentElement.dataset.ready === 'yes'")
        assert "the work of one" in browser.run("document.querySelector('#answer').textContent")
        assert browser.run("window.hacked") is None
        assert browser.console == []
        assert all(url.startswith(f"http://127.0.0.1:{served.port}/") for url in browser.requests)


def rows(out: Path) -> dict[str, Any]:
    return {row["id"]: row for row in Shelf(out).runs()}


def test_a_run_that_did_not_come_to_its_end_is_marked(tmp_path: Path) -> None:
    whole = make_run(tmp_path, users=(1, 5), window_s=4.0, name="whole")
    died = make_run(tmp_path, users=(1, 5), window_s=4.0, name="died")
    host = died.host()
    host["engine"]["exit_code"] = -9
    died.write_host(host)
    early = make_run(tmp_path, users=(1, 5), window_s=4.0, name="early")
    next(path for path in (early.path / "records").iterdir() if "u00005" in path.name).unlink()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "summary.json").write_text("{")
    told = rows(tmp_path)
    assert told[whole.id]["status"] == "done"
    assert (told[died.id]["status"], told[died.id]["why"]) == ("engine died", "exit code -9")
    assert told[early.id]["status"] == "ended early"
    assert told["broken"]["status"] == "unreadable"
    assert told["broken"]["error"]


@pytest.mark.engine
def test_a_real_engine_that_is_killed_is_told_in_the_list(tmp_path: Path) -> None:
    process = start("run", "--users", "1", "--max-duration", "30", "--out", tmp_path, "--name", "killed")
    heard(process, "measuring")
    engine = next(
        one
        for one in psutil.Process(process.pid).children(recursive=True)
        if "breakeven.launch.llamacpp_server" in one.cmdline() and "breakeven.launch.guard" not in one.cmdline()
    )
    engine.kill()
    assert "the engine ended by itself" in finish(process).line()
    (row,) = Shelf(tmp_path).runs()
    assert row["status"] == "engine died"
    assert row["why"].startswith("exit code ")


def test_errors_are_counted_and_a_study_is_listed_with_its_runs_and_failures(tmp_path: Path) -> None:
    study = tmp_path / "study"
    run = make_run(study, users=(1, 5), window_s=4.0, error="it broke")
    (study / "study.toml").write_text("")
    (study / "study.json").write_text('{"failures": {"l4-vllm": "no card /home/me/secret"}}')
    (tmp_path / "linked").symlink_to(study)
    told = rows(tmp_path)
    assert list(told) == [f"study/{run.id}"]
    assert told[f"study/{run.id}"]["errors"] == 2, "one at each level"
    assert Shelf(tmp_path).studies() == [
        {"id": "study", "runs": [f"study/{run.id}"], "failures": {"l4-vllm": "no card …/secret"}}
    ]
    assert "RTX 4090 with vLLM" in Shelf(tmp_path).report([f"study/{run.id}"])
    with pytest.raises(UsageError, match="no run of that name"):
        Shelf(tmp_path).report(["study/../study"])


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_list_fits_a_phone_and_shows_those_with_problems(tmp_path: Path, width: int, *, dark: bool) -> None:
    make_run(tmp_path / "runs", users=(1, 5), window_s=4.0, name="whole")
    died = make_run(tmp_path / "runs", users=(1, 5), window_s=4.0, name="died")
    host = died.host()
    host["engine"]["exit_code"] = 1
    died.write_host(host)
    server = make_server(Shelf(tmp_path / "runs").source(), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    with Browser(tmp_path / "profile") as browser:
        browser.look(width=width, dark=dark, phone=width < 500)
        browser.open(f"http://127.0.0.1:{server.server_address[1]}/")
        assert browser.console == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert axe(browser) == []
        browser.run(
            "(() => { const s = document.querySelector('#state'); s.value = 'with problems';"
            "s.dispatchEvent(new Event('change')); })()"
        )
        assert browser.run("[...document.querySelectorAll('#runs tbody th')].map((one) => one.textContent)") == [
            died.id
        ]
        assert "engine died" in browser.run("document.querySelector('#runs tbody').textContent")
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_folder_that_is_none_and_a_port_that_is_taken_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        serve(tmp_path / "none", host="127.0.0.1", port=0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: Any = taken.getsockname()[1]
        with pytest.raises(RunFailedError, match="try another --port"):
            serve(tmp_path, host="127.0.0.1", port=port)
