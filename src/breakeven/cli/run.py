"""The command `breakeven run`."""

import argparse
from typing import Any, Final

from breakeven.cli import study
from breakeven.cli.command import JSON, OUT, Command
from breakeven.errors import UsageError
from breakeven.options import KEPT, PATH, PLAN_OPTIONS, SWITCH, Kind, Option, plan_fields

_EXAMPLES: Final = """  breakeven run
  breakeven run --url http://gpu-box:8000 --users 1,10,100 --precision 0.03 --max-duration 10m
  breakeven run --url http://gpu-box:8000 --workload fixed --input-tokens 512 --output-tokens 128 --requests 500
  breakeven run --engine vllm --model org/model --via docker
  breakeven run plan.toml --dry-run
  breakeven run --resume runs/2026-11-23T0210-llamacpp-smollm2
"""


def do(arguments: argparse.Namespace) -> int:
    """Measure, or go on measuring."""
    from breakeven.app.commands import resume, run
    from breakeven.app.given import plan_given
    from breakeven.store.study import is_study

    given: dict[str, Any] = plan_fields(vars(arguments))
    if arguments.resume is not None:
        is_auto = given.pop("auto", False)
        floors = given.pop("floors", ()) if is_auto else ()
        if given or arguments.plan is not None or arguments.dry_run:
            raise UsageError("--resume takes the plan from the run; leave the other options out")
        if not is_study(arguments.resume) and not arguments.only:
            return resume(
                arguments.resume, auto=is_auto, floors=floors, is_trusted=arguments.trust, json_to=arguments.json
            )
        return study.run(arguments, {})
    if arguments.plan is not None or arguments.dry_run or arguments.only:
        return study.run(arguments, given)
    return run(plan_given(given), out=arguments.out, json_to=arguments.json)


COMMANDS: Final = (
    Command(
        "run",
        "measure an engine at one or more numbers of users",
        do,
        (
            Option("PLAN", "plan file (TOML); without it the options are it", kind=PATH, values="?"),
            *PLAN_OPTIONS,
            *(
                option._replace(group=KEPT)
                for option in (
                    OUT,
                    Option("--resume", "measure the levels that this run or study lacks", "RUN", kind=PATH),
                    Option("--trust", "resume what somebody else began without asking", kind=SWITCH),
                    Option(
                        "--only",
                        "of a study, only the cells with this hardware, model, engine, settings or workload",
                        "TABLE=NAME",
                        kind=Kind(study.only, is_many=True),
                    ),
                    Option("--dry-run", "print cells, commands, time and cost, and measure nothing", kind=SWITCH),
                    JSON,
                )
            ),
        ),
        "Measure an engine at one or more numbers of users and store what happened.\n"
        "Without --url and --engine it starts llama.cpp with SmolLM2-135M on this machine.",
        _EXAMPLES,
    ),
)
