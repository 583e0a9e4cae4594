"""An option is one row: the command line, a plan, errors, help, docs and `How to repeat it` read the same table."""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from breakeven.app.given import plan_given
from breakeven.cli import COMMANDS, main, parser
from breakeven.cli.command import Command
from breakeven.findings.repeat import run_command
from breakeven.metrics.summary import RunFacts
from breakeven.options import PLAN_OPTIONS, SWITCH, Option, option_said, plan_fields
from breakeven.plan import Plan
from breakeven.serving import EngineSettings, settings_table
from fault_answers import answer
from fault_server import FaultServer

WORDS: dict[str, str] = {
    "--url": "http://box:8000/v1",
    "--engine-command": "serve --flag 'two words'",
    "--model": "a=0.7,b=0.3",
    "--header": "X-Tenant=a b",
    "--header-env": "X-Api-Key=SOME_KEY",
    "--body": 'seed="7"',
    "--gpu-label": "pod=vllm-0",
    "--option": "turns=6",
    "--set": "threads=1",
    "--input-tokens": "normal:300,50",
    "--users": "1,5",
    "--rate": "0.5,1.25",
    "--arrivals": "gamma:2",
    "--clients": "ray:2",
    "--slo": "ttft_p99=2s",
    "--floor": "25,50",
    "--workload": "lengths",
    "--precision": "0.012345678",
}
"""What can stand after an option, where neither its choices nor its unit say."""
BY_UNIT: dict[str | None, str] = {"N": "7", "TIME": "1.5", "W": "250.5"}


def word(option: Option) -> str:
    return WORDS.get(option.name) or (str(option.choices[-1]) if option.choices else BY_UNIT.get(option.unit, "some"))


def plain(made: EngineSettings) -> dict[str, str]:
    return {name: str(value) for name, value in settings_table(made).items()}


def arguments(*words: str) -> dict[str, Any]:
    return vars(parser().parse_args(["run", *words]))


@pytest.mark.parametrize("option", [row for row in PLAN_OPTIONS if row.word is None], ids=lambda row: row.name)
def test_an_option_sets_its_field_and_is_written_back_as_it_was_given(option: Option) -> None:
    words = [option.name] if option.kind is SWITCH else [option.name, word(option)]
    found = plan_fields(arguments(*words))
    field, *inner = option.place.split(".")
    assert list(found) == [field]
    assert field in Plan.__struct_fields__
    if inner:
        made = asdict(getattr(plan_given(found), field))[inner[0]]
        assert (plain(made) if isinstance(made, EngineSettings) else made) == found[field][inner[0]]
        return
    written = [] if option.kind is SWITCH else option.kind.write(found[field])
    again = [one for text in written for one in (option.name, text)] or words
    assert plan_fields(arguments(*again)) == found


def test_every_field_of_a_plan_has_its_option() -> None:
    places = {option.place.split(".")[0] for option in PLAN_OPTIONS}
    assert places == set(Plan.__struct_fields__)


def test_the_word_of_an_option_sets_another_field() -> None:
    assert plan_fields(arguments("--users", "auto")) == {"auto": True}
    assert option_said("auto") == "--users auto"
    assert option_said("launch.via") == "--via"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are noisy
@given(
    st.dictionaries(st.sampled_from(["x", "y", "z"]), st.text(min_size=1) | st.integers() | st.booleans()),
    st.lists(st.integers(2, 10**8).map(lambda one: one / 1000), min_size=1, max_size=4, unique=True),
)
def test_what_a_run_asked_is_what_its_command_asks(body: dict[str, Any], rates: list[float]) -> None:
    kinds = {option.name: option.kind for option in PLAN_OPTIONS}
    fields = map(kinds["--body"].read, kinds["--body"].write(body))
    assert {name: value for table in fields for name, value in table.items()} == body
    assert kinds["--rate"].read(kinds["--rate"].write(tuple(rates))[0]) == pytest.approx(tuple(rates), rel=1e-11)


def test_settings_of_the_embedded_engine_stand_in_the_command_that_repeats_a_run() -> None:
    plan = plan_given(plan_fields(arguments("--set", "threads=1", "--set", "batch-tokens=64", "--users", "3")))
    assert plan.is_embedded
    command = run_command(RunFacts(id="x", settings=json.loads(msgspec.json.encode(plan))))
    assert command == "breakeven run --set threads=1 --set batch_tokens=64 --users 3"
    assert plan_given(plan_fields(arguments(*shlex.split(command)[2:]))) == plan


def test_headers_fields_and_rates_stand_in_the_command_that_repeats_a_run() -> None:
    words = [
        "--url",
        "http://box:8000",
        "--rate",
        "0.5,123456.5",
        "--header",
        "X-Tenant=a b",
        "--header-env",
        "X-Key=KEY",
    ]
    words += ["--body", "seed=7", "--body", 'user="8"', "--body", "stop=[1, 2]", "--name", "it", "--option", "salt=1"]
    plan = plan_given(plan_fields(arguments(*words)))
    command = run_command(RunFacts(id="x", settings=json.loads(json.dumps(asdict(plan)))))
    assert command is not None
    assert plan_given(plan_fields(arguments(*shlex.split(command)[2:]))) == plan


def test_a_row_more_is_an_option_more_everywhere(tmp_path: Path) -> None:
    """Help, request, stored settings; a run is repeated by the field that the row is short for."""
    script = (
        "import sys, breakeven.options as o\n"
        "row = o.Option('--temperature', 'how freely the model answers', 'T', kind=o.REAL, field='body.temperature')\n"
        "o.PLAN_OPTIONS += (row,)\n"
        "from breakeven.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )

    def with_row(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "--temperature T" in with_row("run", "--help")
    load = ("--users", "1", "--warmup", "0.3", "--duration", "1", "--output-tokens", "8", "--out", tmp_path)
    with FaultServer({"good": answer()}) as server:
        said = json.loads(with_row("run", "--url", server.url, *load, "--json", "-", "--temperature", "0.25"))
        assert {request.json["temperature"] for request in server.requests if request.asks} == {0.25}
    assert said["run"]["settings"]["body"] == {"temperature": 0.25}
    page = with_row("report", tmp_path / next(path.name for path in tmp_path.iterdir()), "--md", "-")
    assert "--body temperature=0.25" in page


def test_every_command_is_a_row_and_every_option_of_it_is_read() -> None:
    actions = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert isinstance(actions, dict)
    assert list(actions) == [command.name for command in COMMANDS]
    for command in COMMANDS:
        made: argparse.ArgumentParser = actions[command.name]
        assert {option.place for option in command.options} <= {action.dest for action in made._actions} | {"auto"}


def _called(commands: Sequence[Command]) -> list[tuple[str, ...]]:
    """The words of every command and action."""
    found = [(one.name,) for one in commands]
    return found + [(one.name, *words) for one in commands for words in _called(one.actions)]


@pytest.mark.parametrize("words", _called(COMMANDS))
def test_every_command_and_action_prints_its_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([*words, "--help"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: breakeven {' '.join(words)} ")
