"""Shells complete our commands: the script is made from the real parser, and the shell takes it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from breakeven.cli import COMMANDS, main

pytest.importorskip("shtab")


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = subprocess.run([sys.executable, "-m", "breakeven", "completion", "bash"], capture_output=True, check=True)
    path = tmp_path_factory.mktemp("completion") / "breakeven"
    path.write_bytes(done.stdout)
    return path


def offered(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    line = " ".join(words)
    ask = (
        f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
        f'$(complete -p breakeven | sed "s/.*-F \\([^ ]*\\).*/\\1/") breakeven "{words[-1]}" "{words[-2]}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_accepts_the_script(bash_script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(bash_script)], capture_output=True, check=True).stderr == b""


def test_bash_offers_every_command(bash_script: Path) -> None:
    assert {command.name for command in COMMANDS} <= offered(bash_script, "breakeven", "''")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (("breakeven", "cal"), {"calibrate"}),
        (("breakeven", "fleet", "lead"), {"leaderboard"}),
        (("breakeven", "run", "--prec"), {"--precision"}),
        (("breakeven", "completion", "z"), {"zsh"}),
    ],
)
def test_bash_completes_commands_actions_options_and_choices(
    words: tuple[str, ...], completed: set[str], bash_script: Path
) -> None:
    assert offered(bash_script, *words) == completed


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "zsh"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("#compdef breakeven")
    if (zsh := shutil.which("zsh")) is not None:
        (tmp_path / "_breakeven").write_text(told)
        subprocess.run([zsh, "-n", str(tmp_path / "_breakeven")], check=True)
