"""The command `breakeven node`: options, each with an environment variable, since a grid may set nothing else."""

import argparse
import os
from typing import Any, Final, NamedTuple

from breakeven.cli.command import Command
from breakeven.errors import UsageError
from breakeven.options import AMOUNT, COUNT, COUNTS, DURATION, Option


class Setting(NamedTuple):
    """An option, and the variables that stand for it, the first one that is set counts."""

    option: Option
    variables: tuple[str, ...]


def _setting(option: Option, *more: str) -> Setting:
    first = "BREAKEVEN_" + option.name.lstrip("-").replace("-", "_").upper()
    variables = (first, *more)
    return Setting(option._replace(help=f"{option.help}; {' or '.join(variables)}"), variables)


SETTINGS: Final = (
    _setting(Option("--template", "name of the uniform job", "NAME")),
    _setting(Option("--job", "the operator's name of this job", "NAME")),
    _setting(Option("--seed", "seed of the proof of work (default: no proof)", "TEXT")),
    _setting(Option("--url", "the engine beside it (default: the embedded engine is started)", "URL"), "BASE_URL"),
    _setting(Option("--engine", "what the engine is (default: found out)", "NAME")),
    _setting(Option("--model", "model to ask for (default: the one that is served)", "NAME")),
    _setting(Option("--api-key-env", "environment variable that holds the engine's key", "VAR")),
    _setting(
        Option("--users", "users at once, a level each (default: 1,5,10,50,100)", "LIST", kind=COUNTS),
        "CONCURRENT_USERS",
    ),
    _setting(
        Option("--duration", "window of a level (default: 60s)", "TIME", kind=DURATION, field="duration_s"), "DURATION"
    ),
    _setting(Option("--output-tokens", "answers of at most N tokens (default: as `run`)", "N", kind=COUNT)),
    _setting(
        Option("--max-wait", "longest wait for the engine (default: 30m)", "TIME", kind=DURATION, field="max_wait_s"),
        "MAX_WAIT_TIME",
    ),
    _setting(
        Option("--time-limit", "the whole job's end (default: 1h)", "TIME", kind=DURATION, field="time_limit_s"),
    ),
    _setting(Option("--threads", "threads of the embedded engine", "N", kind=COUNT)),
    _setting(Option("--download-url", "what the network is measured with", "URL")),
    _setting(Option("--dcgm", "exporter that tells of the cards' power and clocks", "URL")),
    _setting(
        Option(
            "--proof-memory",
            "bytes of the proof (default: 200 MB, on a card 80 % of what is free)",
            "BYTES",
            kind=AMOUNT,
            field="proof_memory_bytes",
        )
    ),
)


def _value(setting: Setting, arguments: argparse.Namespace) -> Any:
    """What was said; UsageError names the variable that holds nonsense."""
    said = getattr(arguments, setting.option.place)
    if said is not None:
        return said
    name = next((name for name in setting.variables if os.environ.get(name)), None)
    if name is None:
        return None
    try:
        return setting.option.kind.read(os.environ[name])
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _node(arguments: argparse.Namespace) -> int:
    from breakeven.app.node import node
    from breakeven.session.node import NodeJob

    said = {setting.option.place: _value(setting, arguments) for setting in SETTINGS}
    for name in ("template", "job"):
        if said[name] is None:
            raise UsageError(f"give --{name} NAME, or set BREAKEVEN_{name.upper()}")
    return node(NodeJob(**{name: value for name, value in said.items() if value is not None}))


COMMANDS: Final = (
    Command(
        "node",
        "do the uniform job on this node and print its result",
        _node,
        tuple(setting.option for setting in SETTINGS),
        "Do the uniform job on this node: wait for its engine, measure, prove the work, print one line BENCH_RESULT.\n"
        "It ends within its time limit whatever happens. BREAKEVEN_RESULT_KEY signs the line.",
        "  breakeven node --template t --job j1 --seed s --users 1,5 --duration 4 --time-limit 60\n",
    ),
)
