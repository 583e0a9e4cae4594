"""The commands about what will be measured: `breakeven plan check`, `breakeven plan init`, `breakeven engines`."""

import argparse
from pathlib import Path
from typing import Any, Final

from breakeven.cli.words import writable
from breakeven.errors import UsageError

_FIRST: Final = "plan.toml"


def add(commands: Any) -> None:
    """Add the commands and their options."""
    plan = commands.add_parser(
        "plan", help="check a plan file, or write one to begin with", description="Check a plan file, or write one."
    )
    kinds = plan.add_subparsers(dest="kind", metavar="ACTION", required=True)
    check = kinds.add_parser(
        "check", help="say whether a plan can be run", description="Say whether a plan can be run."
    )
    check.add_argument("plan", metavar="PLAN", type=Path, help="plan file (TOML)")
    check.set_defaults(do=_check)
    init = kinds.add_parser("init", help="write a plan to begin with", description="Write a plan to begin with.")
    init.add_argument("plan", metavar="PLAN", type=Path, nargs="?", default=Path(_FIRST), help=f"(default: {_FIRST})")
    init.set_defaults(do=_init)
    engines = commands.add_parser(
        "engines",
        help="list the engines and what of them is available here",
        description="List the engines and what of them is available here.",
    )
    engines.add_argument(
        "--json", type=writable, metavar="FILE", help="write the list as JSON; - is stdout, and the table is left out"
    )
    engines.add_argument("--verify", action="store_true", help="hash the embedded engine's cached model again first")
    engines.set_defaults(do=_engines)


def only(text: str) -> tuple[str, tuple[str, ...]]:
    """`hardware=a100` or `engine=vllm,lmdeploy`, for `run PLAN --only`."""
    axis, equals, names = text.partition("=")
    if not (axis and equals and names):
        raise argparse.ArgumentTypeError(f"'{text}' is no TABLE=NAME, such as hardware=a100")
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
        option = next(iter(given)).replace("_", "-")
        raise UsageError(f"the plan file says what is measured; leave --{option} out, or put it into the file")
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
