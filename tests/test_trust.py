"""A run that somebody else began may start programs and send what is ours: resuming it asks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from breakeven.plan import read_plan
from breakeven.store.folder import RunFolder
from breakeven.store.mark import has_mark
from breakeven.store.study import StudyFolder
from commands import breakeven
from report_runs import STARTED

LEVEL = "users = [1]\nduration_s = 1\n"
PLANS = {
    "starts": 'engine = "vllm"\nmodel = "m"\n[launch]\ncommand = ["sh", "-c", "touch OWNED; : {port}"]\n',
    "sends a variable": 'url = "http://127.0.0.1:1"\napi_key_env = "HOME"\n',
    "sends a file": 'url = "http://127.0.0.1:1"\nworkload = "dataset"\nfile = "/etc/hostname"\n',
}


def a_run(out: Path, text: str) -> RunFolder:
    return RunFolder.create(out, started=STARTED, label="x", plan=read_plan(LEVEL + text, where="plan"))


def foreign(out: Path, name: str, *, owned: Path) -> Path:
    """A run as it comes out of an archive: with everything that its maker left in it."""
    made = a_run(out, PLANS[name].replace("OWNED", str(owned))).path
    return Path(shutil.copytree(made, out / "copied"))


@pytest.mark.parametrize("name", PLANS)
def test_a_foreign_run_that_could_do_harm_is_not_resumed_unasked(tmp_path: Path, name: str) -> None:
    owned = tmp_path / "owned"
    run = foreign(tmp_path / "runs", name, owned=owned)
    done = breakeven("run", "--resume", run)
    assert done.code == 2
    assert f"{run} was not begun by you on this machine, and its plan {name.split()[0]} " in done.line()
    assert "look at it, then give --trust too" in done.line()
    assert not owned.exists()


@pytest.mark.parametrize(("answer", "goes_on"), [("n", False), ("", False), ("y", True)])
def test_on_a_terminal_the_user_is_asked(tmp_path: Path, answer: str, goes_on: bool) -> None:
    owned = tmp_path / "owned"
    run = foreign(tmp_path / "runs", "starts", owned=owned)
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "breakeven", "run", "--resume", str(run)]
    process = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(ours, f"{answer}\n".encode())
    _, err = process.communicate(timeout=60)
    assert "go on? [y/N]" in err
    assert owned.exists() is goes_on
    assert ("is not resumed" in err) is not goes_on


def test_trust_that_is_given_is_not_asked_for(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    run = foreign(tmp_path / "runs", "starts", owned=owned)
    assert "was not begun by you" not in breakeven("run", "--resume", run, "--trust").err
    assert owned.exists()


def test_our_own_run_and_one_that_only_asks_a_server_are_resumed(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    ours = a_run(tmp_path / "runs", PLANS["starts"].replace("OWNED", str(owned))).path
    moved = ours.rename(tmp_path / "elsewhere")
    breakeven("run", "--resume", moved)
    assert owned.exists()
    harmless = Path(shutil.copytree(a_run(tmp_path / "more", 'url = "http://127.0.0.1:1"\n').path, tmp_path / "copied"))
    assert "the server refuses connections" in breakeven("run", "--resume", harmless).line()


def test_a_foreign_study_is_not_resumed_unasked(tmp_path: Path) -> None:
    text = '[study]\nname = "s"\n[[engines]]\nname = "vllm"\ncommand = "touch owned"\n'
    text += '[[models]]\nname = "m"\nmodel = "m"\n'
    made = StudyFolder.create(tmp_path, started=STARTED, label="s", text=text).path
    assert has_mark(made)
    done = breakeven("run", "--resume", shutil.copytree(made, tmp_path / "copied"))
    assert done.code == 2
    assert "copied was not begun by you on this machine, and its plan starts vllm (touch owned)" in done.line()


def test_without_a_place_for_the_key_nothing_is_marked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ours = a_run(tmp_path / "runs", PLANS["sends a variable"]).path
    done = breakeven("run", "--resume", ours, env={"BREAKEVEN_CACHE": str(tmp_path / "file")})
    assert "was not begun by you" in done.line()
