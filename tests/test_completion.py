"""Shells complete our commands: the script is made from the real parser, and the shell takes it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.cli import COMMANDS, main
from breakeven.cli.command import WRITABLE
from breakeven.cli.completion import FILES, FOLDERS
from breakeven.options import PATH
from shells import Shell

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


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef breakeven")


def test_every_value_that_is_a_path_is_completed_as_one() -> None:
    paths = {PATH, WRITABLE}
    for command in COMMANDS:
        for one in (command, *command.actions):
            for option in one.options:
                if option.kind in paths or option.unit in FOLDERS:
                    name = option.unit if option.name.startswith("-") else option.name
                    assert name in FILES | FOLDERS, f"{one.name} {option.name}"


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"no {name} on PATH: apt-get install {name}")
    folder = tmp_path_factory.mktemp(name)
    done = subprocess.run([sys.executable, "-m", "breakeven", "completion", name], capture_output=True, check=True)
    script = folder / "script" / "_breakeven"
    script.parent.mkdir()
    script.write_bytes(done.stdout)
    at = folder / "at"
    for run in ("runs/monday-a100", "runs/tuesday-4090"):
        (at / run).mkdir(parents=True)
    (at / "plan.toml").touch()
    with Shell(name, script, folder=at) as started:
        yield started


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("breakeven cali", "breakeven calibrate "),
        ("breakeven fleet lead", "breakeven fleet leaderboard "),
        ("breakeven plan in", "breakeven plan init "),
        ("breakeven run --prec", "breakeven run --precision "),
        ("breakeven completion z", "breakeven completion zsh "),
        ("breakeven run --via do", "breakeven run --via docker "),
        ("breakeven run pl", "breakeven run plan.toml "),
        ("breakeven show runs/mon", "breakeven show runs/monday-a100/"),
        ("breakeven compare runs/monday-a100 runs/tu", "breakeven compare runs/monday-a100 runs/tuesday-4090/"),
        ("breakeven compare a b c runs/tu", "breakeven compare a b c runs/tuesday-4090/"),
        ("breakeven compare a b --floor 25 --js", "breakeven compare a b --floor 25 --json "),
        ("breakeven mix a --load pl", "breakeven mix a --load plan.toml "),
        ("breakeven report --serve ru", "breakeven report --serve runs/"),
        ("breakeven cost --from-runs runs/mon", "breakeven cost --from-runs runs/monday-a100/"),
        ("breakeven cost --from-runs a runs/mon", "breakeven cost --from-runs a runs/monday-a100/"),
        ("breakeven cost --sweep candidate.rent_usd_per_h=0.1:2:0.05 --expl", None),
        ("breakeven cost --expl", "breakeven cost --explain "),
    ],
)
def test_a_real_shell_completes(typed: str, line: str | None, shell: Shell) -> None:
    assert shell.tab(typed).rstrip() == (line or typed.replace("--expl", "--explain")).rstrip()
    assert "error" not in shell.told.lower()


def test_a_real_shell_completes_an_option_of_every_command(shell: Shell) -> None:
    """One value whose name a shell cannot read leaves its whole command without completion."""
    for command in COMMANDS:
        for one in command.actions or (command,):
            words = f"breakeven {command.name}" + (f" {one.name}" if command.actions else "")
            assert shell.tab(f"{words} --hel").rstrip() == f"{words} --help"
