"""The real command against servers that fail in every way: one clear line or counted errors, never a traceback.

The runs of this file are started together, a few at a time, when the first test asks for one.
"""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from breakeven.cli import main
from commands import LEVELS, Done, breakeven, finish, heard, run_folder, start
from fault_answers import answer, reply
from fault_server import FaultServer, Script, closed_port
from fault_wire import Play, Wire
from faults import PLAYS, html, needs_key, stall, status

AT_ONCE = 4
Named = Callable[[str], str]
KEY = "sk-very-secret-0123"
RUN = ("--users", "2,3", "--duration", "2", *LEVELS, "--json", "-")


class Case(NamedTuple):
    """One run: of which server, with which words."""

    script: Script | None = None
    words: tuple[str, ...] = ()
    url: str | None = None
    tls: Any = None
    env: Mapping[str, str] = {}
    dies_after: int | None = None
    """The server closes its door after so many requests."""


def idle(wire: Wire) -> None:
    """vLLM's gauges at zero, so that settling takes no time."""
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


def only(*plays: Play) -> Script:
    """The two questions before the load are answered well; then these, the last for ever."""
    return {"good": [answer(), answer(), *plays], "/metrics": idle}


def some(fault: str) -> Script:
    """Every fourth request of the load fails."""
    return only(*([answer()] * 3 + [PLAYS[fault]]) * 500)


def models(text: str) -> Play:
    return lambda wire: reply(wire, 200, text)


def on_two_clients(name: str) -> str:
    """The name of the same case with its users in two processes."""
    return f"{name}, two clients"


TWO_CLIENTS = ("--clients", "2")
TWO_MODELS = '{"data": [{"id": "small"}, {"id": "large"}]}'
MID_RUN = {
    "429": "http_429",
    "503": "http_503",
    "reset-midstream": "reset",
    "close-midstream": "closed",
    "broken-json": "bad_json",
    "half-event": "bad_stream",
    "error-event": "stream_error",
    "html": "not_openai",
    "stall": "timeout",
    "endless": "timeout",
}
CASES = {
    "good": Case(),
    "resolves nowhere": Case(url="http://nobody.invalid:8000"),
    "refuses": Case(url="refuses"),
    "certificate": Case(tls="good"),
    "certificate of the authority": Case(tls="good", env={"SSL_CERT_FILE": "its own"}),
    "no such certificate file": Case(tls="good", env={"SSL_CERT_FILE": "/nowhere/ca.pem"}),
    "404": Case({"*": status(404), "/v1/models": status(404), "good": status(404)}),
    "404 and a model": Case({"*": status(404), "/v1/models": status(404)}, ("--model", "good")),
    "html": Case({"*": html(), "/v1/models": html()}),
    "html and a model": Case({"*": html(), "/v1/models": html()}, ("--model", "good")),
    "still loading": Case({"/v1/models": status(503, message="Loading model")}),
    "no model": Case({"/v1/models": models('{"data": []}')}),
    "hostile list of models": Case({"/v1/models": models("[" * 100_000)}),
    "unknown model": Case({"best": status(404), "/v1/models": models(TWO_MODELS)}, ("--model", "best")),
    "several models": Case({"/v1/models": models(TWO_MODELS)}),
    "401": Case({"*": status(401), "/v1/models": status(401, message="who are you?")}),
    "403": Case({"*": status(403), "good": status(403)}),
    "wrong key": Case(
        {"/v1/models": status(401, message=f"the key {KEY} is wrong")},
        ("--api-key-env", "SOME_KEY"),
        env={"SOME_KEY": KEY},
    ),
    "right key": Case({"good": needs_key(KEY), "/metrics": idle}, ("--api-key-env", "SOME_KEY"), env={"SOME_KEY": KEY}),
    "redirects": Case({"good": status(307, more="Location: https://elsewhere/\r\n")}),
    "speaks something else": Case({"/v1/models": lambda wire: wire.send(b"SSH-2.0-OpenSSH_9.6\r\n")}),
    "hangs up at the first question": Case({"good": PLAYS["hang-up"]}),
    **{f"some {name}": Case(some(name), ("--timeout", "1")) for name in MID_RUN},
    "nothing but 503": Case(only(status(503))),
    "nothing but stalls": Case(only(stall()), ("--timeout", "1")),
    "dies": Case(only(answer()), dies_after=12),
}
IN_LEVELS = ("good", *(f"some {name}" for name in MID_RUN), "nothing but 503", "nothing but stalls", "dies")
"""Faults that a client process meets, not the question before the load."""
CASES |= {on_two_clients(name): CASES[name]._replace(words=(*CASES[name].words, *TWO_CLIENTS)) for name in IN_LEVELS}
CLIENTS: Final = pytest.mark.parametrize("clients", [str, on_two_clients], ids=["one client", "two clients"])


def run_case(case: Case, out: Path) -> Done:
    with ExitStack() as stack:
        if case.url is not None:
            url = stack.enter_context(closed_port()) if case.url == "refuses" else case.url
            return breakeven("run", "--url", url, *RUN, *case.words, "--out", out)
        server = stack.enter_context(FaultServer(case.script or {"/metrics": idle}, tls=case.tls))
        env = dict(case.env)
        if env.get("SSL_CERT_FILE") == "its own":
            env["SSL_CERT_FILE"] = str(server.ca_file)
        process = start("run", "--url", server.url, *RUN, *case.words, "--out", out, env=env)
        if case.dies_after is not None:
            wait_for(lambda: len(server.asked) > (case.dies_after or 0))
            server.die()
        return finish(process)


def wait_for(true: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    until_s = time.perf_counter() + timeout_s
    while not true():
        assert time.perf_counter() < until_s, "it did not happen"
        time.sleep(0.02)


class Runs:
    """All cases, run a few at a time."""

    def __init__(self, pool: ThreadPoolExecutor, folder: Path) -> None:
        self.folder = folder
        self._runs: dict[str, Future[Done]] = {
            name: pool.submit(run_case, case, self.out(name)) for name, case in CASES.items()
        }

    def out(self, name: str) -> Path:
        return self.folder / name.replace(" ", "-")

    def __getitem__(self, name: str) -> Done:
        return self._runs[name].result()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield Runs(pool, tmp_path_factory.mktemp("runs"))


# what stops before anything is measured

STOPS = {
    "resolves nowhere": (1, "the name 'nobody.invalid' resolves nowhere"),
    "refuses": (1, "the server refuses connections; is the server up"),
    "certificate": (1, "the certificate is not valid: unable to get local issuer certificate"),
    "no such certificate file": (2, "SSL_CERT_FILE=/nowhere/ca.pem: No such file or directory"),
    "404": (1, "/v1/models answers 404 (no); is this an OpenAI server"),
    "404 and a model": (1, "/v1/chat/completions answers 404 (no); this is no OpenAI server, or not its address"),
    "html": (1, "is no list of models, so this is no OpenAI server: <html>"),
    "html and a model": (1, "200 with text/html instead of an answer: <html>"),
    "still loading": (1, "/v1/models answers 503 (Loading model); is this an OpenAI server, and is it ready?"),
    "no model": (1, "names no model; give its name with --model"),
    "hostile list of models": (1, "is no list of models"),
    "unknown model": (1, "knows no model 'best'; it serves: small, large"),
    "several models": (2, "serves several models; choose one with --model: small, large"),
    "401": (1, "answers 401 (who are you?); put the key into an environment variable"),
    "403": (1, "answers 403 (no); put the key into an environment variable"),
    "wrong key": (1, "answers 401 (the key [key] is wrong)"),
    "redirects": (1, "answers 307, a redirect to https://elsewhere/; give the address that it leads to"),
    "speaks something else": (1, "the answer is not HTTP"),
    "hangs up at the first question": (1, "the server closed the connection before the answer was complete"),
}


@pytest.mark.parametrize(("name", "code", "says"), [(name, *expected) for name, expected in STOPS.items()])
def test_what_can_never_be_measured_stops_with_one_clear_line(name: str, code: int, says: str, runs: Runs) -> None:
    done = runs[name]
    assert says in done.line()
    assert done.code == code
    assert done.out == ""
    assert not runs.out(name).exists()


@pytest.mark.parametrize("name", CASES)
def test_no_traceback_and_no_key_is_ever_shown(name: str, runs: Runs) -> None:
    done = runs[name]
    assert "Traceback" not in done.err + done.out
    assert KEY not in done.err + done.out


# what is measured though something fails


@pytest.mark.parametrize("name", ["good", on_two_clients("good"), "certificate of the authority", "right key"])
def test_a_good_server_is_measured_at_both_levels(name: str, runs: Runs) -> None:
    done = runs[name]
    assert done.code == 0, done.err
    levels = done.json["levels"]
    assert [(level["users"], level["status"], level["errors"]) for level in levels] == [(2, "done", 0), (3, "done", 0)]
    assert all(level["window_s"] == pytest.approx(2, abs=0.1) for level in levels)


@CLIENTS
@pytest.mark.parametrize(("fault", "kind"), MID_RUN.items())
def test_a_server_that_fails_some_requests_is_measured_and_the_failures_are_counted(
    fault: str, kind: str, clients: Named, runs: Runs
) -> None:
    done = runs[clients(f"some {fault}")]
    assert done.code == 0, done.err
    for level in done.json["levels"]:
        assert level["status"] == "done"
        assert level["requests"] > 0
        assert set(level["errors_by_kind"]) == {kind}
        assert level["errors_by_kind"][kind] == level["errors"]
    assert all("errors" in done.caution_ids(index) for index in (0, 1))
    assert not any("client_died" in done.caution_ids(index) for index in (0, 1))


@CLIENTS
@pytest.mark.parametrize(("name", "kind"), [("nothing but 503", "http_503"), ("nothing but stalls", "timeout")])
def test_levels_of_nothing_but_errors_say_so_and_the_run_goes_on(
    name: str, kind: str, clients: Named, runs: Runs
) -> None:
    done = runs[clients(name)]
    assert done.code == 1
    levels = done.json["levels"]
    assert [(level["users"], level["status"]) for level in levels] == [(2, "failed"), (3, "failed")]
    for index, level in enumerate(levels):
        assert set(level["errors_by_kind"]) == {kind}
        assert level["output_tok_per_s"]["value"] is None
        assert "nothing_but_errors" in done.caution_ids(index)


@CLIENTS
def test_a_server_that_dies_leaves_what_was_measured_and_a_failed_level(clients: Named, runs: Runs) -> None:
    done = runs[clients("dies")]
    first, second = done.json["levels"]
    assert done.code == 1
    assert first["errors_by_kind"]["connect"] > 0
    assert (second["status"], set(second["errors_by_kind"])) == ("failed", {"connect"})
    assert "nothing_but_errors" in done.caution_ids(1)


def test_the_key_is_in_no_file(runs: Runs) -> None:
    assert runs["right key"].code == 0
    kept = [file for file in runs.out("right key").rglob("*") if file.is_file()]
    assert len(kept) >= 4
    assert not [file for file in kept if KEY.encode() in file.read_bytes()]


# Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_keeps_and_prints_what_was_measured(number: int, tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle}) as server:
        words = ("--users", "2,3", "--duration", "60", *LEVELS, "--json", "-", "--out", tmp_path)
        process = start("run", "--url", server.url, *words)
        heard(process, "2 users: measuring")
        time.sleep(1.0)
        process.send_signal(number)
        done = finish(process, timeout_s=10)
    assert done.code == 130
    (level,) = done.json["levels"]
    assert (level["users"], level["status"], level["stopped"]) == (2, "interrupted", "interrupted")
    assert level["requests"] > 0
    assert level["output_tok_per_s"]["value"] > 0
    assert "interrupted; keeping what was measured" in done.err
    assert "tok/s" in done.err
    assert breakeven("show", run_folder(tmp_path), "--json", "-").json["levels"] == [level]


def test_a_hang_up_that_nohup_holds_off_ends_nothing(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle}) as server:
        words = ("--users", "2", "--duration", "3", *LEVELS, "--json", "-", "--out", tmp_path)
        held_off = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
        process = start("run", "--url", server.url, *words, preexec_fn=held_off)
        heard(process, "2 users: measuring")
        process.send_signal(signal.SIGHUP)
        done = finish(process)
    assert (done.code, done.json["levels"][0]["status"]) == (0, "done")


def test_a_hang_up_outside_of_a_run_is_an_interrupt_too(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    process = start("report", "--serve", tmp_path / "runs", "--port", "0")
    assert process.stdout is not None
    assert "http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    done = finish(process, timeout_s=10)
    assert (done.code, done.err) == (130, "breakeven: interrupted\n")


@pytest.mark.parametrize("words", [("gpus",), ("prices",), ("run", "--dry-run", "--url", "http://a")])
def test_a_full_disk_under_standard_output_is_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "breakeven", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "breakeven: cannot write to standard output: No space left on device\n")


def test_a_full_disk_under_standard_error_ends_no_run(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle}) as server, Path("/dev/full").open("w") as full:
        run = [sys.executable, "-m", "breakeven", "run", "--url", server.url, "--out", str(tmp_path)]
        words = [*run, "--users", "2", "--duration", "1", *LEVELS]
        done = subprocess.run(words, stderr=full, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert b"tok/s" in done.stdout


def test_an_interrupt_before_the_first_answer_ends_at_once_and_leaves_no_folder(tmp_path: Path) -> None:
    with FaultServer({"good": stall()}) as server:
        process = start("run", "--url", server.url, *RUN, "--out", tmp_path / "runs")
        heard(process, "asking")
        wait_for(lambda: server.asked)
        process.send_signal(signal.SIGINT)
        done = finish(process, timeout_s=10)
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()


def test_a_second_interrupt_quits_though_the_server_hangs(tmp_path: Path) -> None:
    with FaultServer({"/metrics": stall()}) as server:
        process = start("run", "--url", server.url, "--users", 2, "--duration", 1, *LEVELS, "--out", tmp_path)
        heard(process, "2 users: measuring")
        wait_for(lambda: any(request.path == "/metrics" for request in server.requests))  # it settles
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        done = finish(process, timeout_s=10)
    assert done.code == 130
    assert "Traceback" not in done.err
    shown = breakeven("show", run_folder(tmp_path), "--json", "-")
    assert shown.json["levels"][0]["requests"] > 0


# a disk that is full


def test_a_full_disk_stops_with_one_line_and_what_was_written_stays_readable(tmp_path: Path) -> None:
    with FaultServer({"good": answer(ttft_s=0.01, itl_s=0.002), "/metrics": idle}) as server:
        process = start(
            *("run", "--url", server.url, "--users", 4, "--duration", 60, *LEVELS, "--out", tmp_path),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)),
        )
        done = finish(process, timeout_s=40)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "File too large; raise the limit on the size of files (ulimit -f) or use --out" in done.line()
    shown = breakeven("show", run_folder(tmp_path), "--json", "-")
    assert shown.code == 0
    (level,) = shown.json["levels"]
    assert (level["status"], level["errors"]) == ("interrupted", 0)
    assert level["output_tokens"] > 100


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file is in the way")
    with FaultServer({"/metrics": idle}) as server:
        done = breakeven("run", "--url", server.url, *RUN, "--out", tmp_path / "runs")
    assert done.code == 1
    assert "File exists" in done.line() or "Not a directory" in done.line()
    assert "space" not in done.line()
    assert "use another place, such as --out FOLDER" in done.line()


# wrong usage, before anything is started


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "--url", "http://h", "--engine", "vlm"), "no engine is called 'vlm'; did you mean 'vllm'?"),
        (("run", "--url", "http://h", "--workload", "fixd"), "no workload is called 'fixd'; did you mean 'fixed'?"),
        (("run", "--url", "http://h", "--users", "1,x"), "'1,x' is no list of numbers of users"),
        (("run", "--url", "http://h", "--users", "1;2"), "'1;2' is no list of numbers of users"),
        (("run", "--url", "http://h", "--users", ""), "is no list of numbers of users"),
        (("run", "--url", "http://h", "--users", "1,,2"), "is no list of numbers of users"),
        (("run", "--url", "http://h", "--users", "-1"), "users"),
        (("run", "--url", "http://h", "--users", "0,1"), "--users: 0 is no number of users"),
        (("run", "--url", "http://h", "--users", "3,3"), "--users: 3 stands twice"),
        (
            ("run", "--url", "http://h", "--rate", "2,2.0001"),
            "rate: 2 stands twice; rates are told apart by three deci",
        ),
        (("run", "--url", "http://h", "--rate", "0.0001"), "rate: 0.0001 req/s cannot be offered; give 0.001 to 1000"),
        (
            ("run", "--url", "http://h", "--rate", "1e9"),
            "rate: 1000000000 req/s cannot be offered; give 0.001 to 1000000",
        ),
        (("run", "--url", "http://h", "--users", "1,10", "--requests", "19"), "less than two for each of 10 users"),
        (("run", "--url", "http://h", "--requests", "500", "--duration", "5"), "give one of the two"),
        (("run", "--url", "http://h", "--duration", "5x"), "'5x' is no duration"),
        (("run", "--url", "http://h", "--duration", "0"), "--duration: 0.0 s is not a length of time"),
        (("run", "--url", "http://h", "--repeats", "0"), "--repeats: 0 is too few"),
        (("run", "--url", "http://h", "--find-max"), "--find-max: it needs limits to meet"),
        (("run", "--url", "http://h", "--rate", "5", "--requests", "9"), "--requests and --rate: an open loop ends by"),
        (
            ("run", "--url", "http://h", "--users", "5", "--rate", "5"),
            "--users and --rate: a level has so many users or",
        ),
        (
            ("run", "--url", "http://h", "--users", "5", "--arrivals", "constant"),
            "--arrivals: they are those of an ope",
        ),
        (
            ("run", "--url", "http://h", "--rate", "5", "--think", "1s"),
            "--think goes with --users: requests of an open",
        ),
        (("run", "--url", "http://h", "--rate", "5", "--users", "auto"), "--users auto and --rate: auto chooses"),
        (
            ("run", "--url", "http://h", "--find-max", "--users", "auto", "--slo", "ttft_p99=1s"),
            "--users auto and --find-max: each chooses the levels",
        ),
        (
            ("run", "--url", "http://h", "--find-max", "--users", "1,5,10", "--slo", "ttft_p99=1s"),
            "--users and --find-max: a search begins at one load and finds the others; give one, such as 1",
        ),
        (("run", "--url", "http://h", "--precision", "5"), "--precision: 5.0 is not between 0 and 1"),
        (("run", "--url", "http://h", "--output-tokens", "0"), "--output-tokens: 0 is too few"),
        (("run", "--url", "http://h", "--api-key-env", "NO_SUCH_KEY"), "no such environment variable is set"),
        (("run", "--url", "ftp://h"), "is no http or https URL of a server"),
        (("run", "--url", "http://me:pw@h"), "--url must not hold a user or password; put the key into a variable"),
        (("run", "--resume", "nowhere"), "nowhere does not exist"),
        (("run", "--resume", "nowhere", "--users", "1"), "--resume takes the plan from the run"),
        (
            ("run", "--url", "http://h", "--usres", "1"),
            "no option is called '--usres'; did you mean '--users'?",
        ),
        (
            ("run", "--url", "http://h", "--gate", "ttft_p99 <= 2s"),
            "--gate is an option of compare, not of this command (see `breakeven run --help`)",
        ),
        (("run", "--url", "http://h", "more.toml", "x"), "'x' is one word too many (see `breakeven run --help`)"),
        (("plan", "chek", "x"), "no action is called 'chek'; did you mean 'check'? (see `breakeven plan --help`)"),
        (
            ("plan", "check", "--jsn", "x"),
            "'--jsn'; known: --help (see `breakeven plan check --help`)",
        ),
        (
            ("run", "--url", "http://h", "--json", "nowhere/x.json"),
            "nowhere/x.json cannot be written: no such folder as nowhere",
        ),
        (("run", "--url", "http://h", "--json", "."), "--json: . cannot be written: it is a folder"),
        (
            ("run", "--url", "http://h", "--workload", "fixed", "--body"),
            "--body: expected one argument (see `breakeven run",
        ),
        (("run", "--engine", "vllm"), "--engine vllm needs --model to be started here, or --url URL"),
        (("ruin",), "no command is called 'ruin'; did you mean 'run'? (see `breakeven --help`)"),
        (("--verson",), "no option is called '--verson'; did you mean '--version'?"),
        (("show", "nowhere"), "nowhere does not exist"),
        (("runs", "--out", "nowhere"), "nowhere is no folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    seen = capsys.readouterr()
    assert says in seen.err
    assert seen.err.count("\n") == 1
    assert seen.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_command_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(()) == 0
    seen = capsys.readouterr()
    assert seen.out.startswith("usage: breakeven")
    assert "measure an engine" in seen.out
    assert seen.err == ""
