"""What a server sends is shown as plain text: no markup, no control sequence, no name without end. The real command."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from asking import ask
from breakeven.client.answer import StreamAnswer
from breakeven.errors import LONGEST_NAME, one_line
from commands import LEVELS, Done, breakeven, finish, run_folder, start
from fault_answers import answer, reply
from fault_server import FaultServer, Script
from fault_wire import Play, Wire
from faults import status

OSC, CSI, C1 = "\x1b]0;owned\x07", "\x1b[2J\x1b[31m", "\x9b31m"
HOSTILE = f"oops [/x] {OSC}{CSI}{C1}\x00\nbreakeven: all is well\u202egnp.exe"
UNSEEN = ("\x1b", "\x07", "\x9b", "\x00", "\u202e")
RUN = ("--users", "2", "--duration", "1", *LEVELS)


def models(*names: str) -> Play:
    text = json.dumps({"data": [{"id": name} for name in names]})
    return lambda wire: reply(wire, 200, text)


def gone(wire: Wire) -> None:
    status(404)(wire)


def measured(script: Script, *words: object) -> Done:
    with FaultServer({"/metrics": gone, **script} if isinstance(script, dict) else script) as server:
        return breakeven("run", "--url", server.url, *RUN, *words)


def clean(done: Done) -> None:
    told = done.out + done.err
    assert not any(sign in told for sign in UNSEEN), told
    assert "Traceback" not in told, told


def test_a_model_named_like_markup_is_measured_and_listed_under_its_name(tmp_path: Path) -> None:
    """`x[/y]` was a MarkupError in `runs`, and ended the list of every other run."""
    done = measured({"/v1/models": models("x[/y]")}, "--out", tmp_path, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["run"]["model"] == "x[/y]"
    listed, shown = breakeven("runs", "--out", tmp_path), breakeven("show", run_folder(tmp_path))
    assert (listed.code, shown.code) == (0, 0)
    assert "x[/y]" in listed.out
    assert "x[/y] · openai" in shown.out


@pytest.mark.parametrize("name", ["a\x1b]0;owned\x07b", "a\x9b31mb", "a\x00b", "a\nb", "a\u202eb", "m" * 5_000_000])
def test_a_model_whose_name_is_none_is_one_line(tmp_path: Path, name: str) -> None:
    done = measured({"/v1/models": models(name)}, "--out", tmp_path)
    clean(done)
    assert done.code == 1
    assert "which holds control characters or more than 200 characters; give its name with --model" in done.line()
    assert len(done.err) < 1000


def test_errors_of_a_server_are_one_clean_line(tmp_path: Path) -> None:
    """Before the load: its text stands in ours. In the load: it is kept clean in the records."""
    refused = measured({"/v1/models": status(401, message=HOSTILE)}, "--out", tmp_path / "a")
    clean(refused)
    assert refused.err.count("\n") == 1
    assert "oops [/x]" in refused.line()
    failing = [answer(), answer(), *([answer()] * 3 + [status(503, message=HOSTILE)]) * 500]
    done = measured({"good": failing}, "--out", tmp_path / "b")
    clean(done)
    shown, listed = breakeven("show", run_folder(tmp_path / "b")), breakeven("runs", "--out", tmp_path / "b")
    clean(shown)
    clean(listed)
    assert not any(sign.encode() in path.read_bytes() for path in (tmp_path / "b").rglob("*.json") for sign in UNSEEN)


def test_a_name_that_a_folder_gives_is_plain_text(tmp_path: Path) -> None:
    measured({}, "--out", tmp_path, "--name", "plain")
    folder = run_folder(tmp_path)
    folder.rename(tmp_path / f"run{CSI}[bold]\nbreakeven: all is well")
    hostile = run_folder(tmp_path)
    for words in (("runs", "--out", tmp_path), ("show", hostile), ("show", hostile / "nowhere")):
        clean(breakeven(*words))


def test_a_large_list_of_models_takes_no_more_memory_than_it_is_long(tmp_path: Path) -> None:
    """A name of 50 MB took 924 MB; a list of over 16 MiB is none."""
    text = json.dumps({"data": [{"id": "m" * 50_000_000}]})
    with FaultServer({"/v1/models": lambda wire: reply(wire, 200, text)}) as server:
        process = start("run", "--url", server.url, *RUN, "--out", tmp_path, preexec_fn=_little_memory)
        done = finish(process)
    assert done.code == 1
    assert "a body of more than 16 MiB" in done.line()


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))


def test_of_an_error_body_only_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand users may get one of 64 MiB at once."""
    kept: list[int] = []
    conclude = StreamAnswer.conclude

    def watched(self: StreamAnswer) -> None:
        kept.append(len(self.body))
        conclude(self)

    monkeypatch.setattr(StreamAnswer, "conclude", watched)
    with FaultServer([status(500, message="x" * 5_000_000), answer()]) as server:
        seen, after = ask(server.url, "good", "good")
    assert (seen.error, after.status) == ("http_500", "done")
    assert kept[0] == 64 * 1024


def test_a_terminal_sees_no_sequence_of_a_server(tmp_path: Path) -> None:
    """On a real terminal (a pseudo one), where colours of ours are wanted: OSC and what it holds are not ours."""
    with FaultServer({"/v1/models": status(401, message=HOSTILE)}) as server:
        ours, theirs = os.openpty()
        words = (sys.executable, "-m", "breakeven", "run", "--url", server.url, *RUN, "--out", str(tmp_path))
        process = subprocess.Popen(words, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
        os.close(theirs)
        seen = _all_of(ours)
        process.wait(30)
    assert b"oops [/x]" in seen
    assert b"\x1b]" not in seen
    assert "\u202e".encode() not in seen


def _all_of(terminal: int) -> bytes:
    seen = b""
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side has closed it
            return seen


@pytest.mark.parametrize("text", [HOSTILE, "\x85\u2028\u2029\u200f\u2066\ufeff\ud800", "a" * 10**7])
def test_the_one_function_leaves_nothing_that_moves_a_cursor(text: str) -> None:
    found = one_line(text, limit=LONGEST_NAME)
    assert found.isprintable()
    assert len(found) <= LONGEST_NAME
