"""The commands about what will be measured: `breakeven plan check`, `breakeven plan init`, `breakeven engines`."""

import argparse
from pathlib import Path
from typing import Any, Final

from breakeven.cli.command import WRITABLE, Command
from breakeven.errors import UsageError
from breakeven.options import PATH, SWITCH, Option, option_said

_FIRST: Final = "plan.toml"


def only(text: str) -> tuple[str, tuple[str, ...]]:
    """`hardware=a100` or `engine=vllm,lmdeploy`, for `run PLAN --only`."""
    axis, equals, names = text.partition("=")
    if not (axis and equals and names):
        raise ValueError(f"'{text}' is no TABLE=NAME, such as hardware=a100")
    return axis, tuple(names.split(","))


def run(arguments: argparse.Namespace, given: dict[str, Any]) -> int:
    """`breakeven run` with a plan file, a study to resume, or --dry-run."""
    from breakeven.app import plan_command

    wanted = dict(arguments.only or ())
    if arguments.resume is not None:
        return plan_command.resume_file(
            arguments.resume, wanted=wanted, is_trusted=arguments.trust, json_to=arguments.json
        )
    if arguments.plan is None:
        if wanted:
            raise UsageError("--only goes with a plan file or a study to resume")
        return plan_command.dry_run_plan(given)
    if given:
        option = option_said(next(iter(given)))
        raise UsageError(f"the plan file says what is measured; leave {option} out, or put it into the file")
    if arguments.dry_run:
        return plan_command.dry_run(arguments.plan, wanted=wanted)
    return plan_command.run_file(arguments.plan, out=arguments.out, wanted=wanted, json_to=arguments.json)


def _check(arguments: argparse.Namespace) -> int:
    from breakeven.app.plan_command import check

    return check(arguments.plan)


def _init(arguments: argparse.Namespace) -> int:
    from breakeven.app.plan_command import init

    return init(arguments.plan)


def _engines(arguments: argparse.Namespace) -> int:
    from breakeven.app.engines import engines

    return engines(json_to=arguments.json, verify=arguments.verify)


COMMANDS: Final = (
    Command(
        "plan",
        "check a plan file, or write one to begin with",
        actions=(
            Command("check", "say whether a plan can be run", _check, (Option("PLAN", "plan file (TOML)", kind=PATH),)),
            Command(
                "init",
                "write a plan to begin with",
                _init,
                (Option("PLAN", f"(default: {_FIRST})", kind=PATH, values="?", default=Path(_FIRST)),),
            ),
        ),
    ),
    Command(
        "engines",
        "list the engines and what of them is available here",
        _engines,
        (
            Option("--json", "write the list as JSON; - is stdout, and the table is left out", "FILE", kind=WRITABLE),
            Option("--verify", "hash the embedded engine's cached model again first", kind=SWITCH),
        ),
    ),
)
