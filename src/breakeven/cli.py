"""The command line: text in, one call into `app`, exit code out."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from breakeven import __version__
from breakeven.errors import BreakevenError, UsageError
from breakeven.units import parse_duration_s

INTERRUPTED: Final = 130
DEFAULT_OUT: Final = "runs"

_RUN_EXAMPLES: Final = """examples:
  breakeven run
  breakeven run --url http://gpu-box:8000 --users 1,10,100 --precision 0.03 --max-duration 10m
  breakeven run --url http://gpu-box:8000 --workload fixed --input-tokens 512 --output-tokens 128 --requests 500
  breakeven run --resume runs/2026-11-23T0210-llamacpp-smollm2
"""


class _Parser(argparse.ArgumentParser):
    """One clear line for wrong usage, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def _duration(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration_or_auto(text: str) -> float | None:
    return None if text == "auto" else _duration(text)


def _users(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers of users; write it like 1,5,10,50,100")
    return tuple(int(part) for part in parts)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="breakeven",
        description="Which GPU, engine and price serves an LLM at the lowest cost: measured, with error bars.",
    )
    parser.add_argument("--version", action="version", version=f"breakeven {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_run(commands)
    show = commands.add_parser("show", help="print a stored run again", description="Print a stored run again.")
    show.add_argument("run", metavar="RUN", type=Path, help="run folder")
    _add_json(show)
    runs = commands.add_parser("runs", help="list the stored runs", description="List the stored runs.")
    _add_out(runs)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", metavar="FILE", help="write the summary as JSON; - is stdout, and the table goes to stderr"
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(DEFAULT_OUT),
        metavar="FOLDER",
        help="where run folders are made (default: runs)",
    )


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="measure an engine at one or more numbers of users",
        description="Measure an engine at one or more numbers of users and store what happened.\n"
        "Without --url it starts llama.cpp with SmolLM2-135M on this machine.",
        epilog=_RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whom = run.add_argument_group("whom to ask")
    whom.add_argument("--url", help="OpenAI-compatible server, such as http://host:8000 (default: the embedded engine)")
    whom.add_argument(
        "--engine", metavar="NAME", help="what the server is: vllm, lmdeploy, sglang, llamacpp, … (default: found out)"
    )
    whom.add_argument("--model", metavar="NAME", help="model to ask for (default: the one that /v1/models names)")
    whom.add_argument("--api", choices=("chat", "completions"), help="which API to ask (default: chat)")
    whom.add_argument("--api-key-env", metavar="VAR", help="environment variable that holds the API key")
    what = run.add_argument_group("what to ask")
    what.add_argument("--workload", metavar="NAME", help="chat or fixed (default: chat)")
    what.add_argument("--input-tokens", type=int, metavar="N", help="prompt length with the chat template, for fixed")
    what.add_argument(
        "--output-tokens",
        type=int,
        metavar="N",
        help="answer length: at most N for chat (default: 64 embedded, 256 for a URL), exactly N for fixed",
    )
    what.add_argument(
        "--think",
        dest="think_s",
        type=_duration,
        metavar="TIME",
        help="pause of a user between answer and next question (default: 0)",
    )
    what.add_argument("--seed", type=int, metavar="N", help="seed of lengths and content (default: 0)")
    much = run.add_argument_group("how much")
    much.add_argument(
        "--users", type=_users, metavar="LIST", help="users at once, one level each (default: 1,5,10,50,100)"
    )
    much.add_argument(
        "--duration",
        dest="duration_s",
        type=_duration_or_auto,
        metavar="TIME",
        help="length of the window, or auto: until --precision is reached (default)",
    )
    much.add_argument("--requests", type=int, metavar="N", help="measure N requests a level instead of a time")
    much.add_argument(
        "--max-duration",
        dest="max_duration_s",
        type=_duration,
        metavar="TIME",
        help="longest window with auto (default: 8 s to 55 s embedded, 2m for a URL)",
    )
    much.add_argument(
        "--precision", type=float, metavar="P", help="with auto: stop when throughput is known to ± P (default: 0.05)"
    )
    much.add_argument(
        "--ramp",
        dest="ramp_s",
        type=_duration,
        metavar="TIME",
        help="time over which users start (default: 0.05 s a user, at most 5 s)",
    )
    much.add_argument(
        "--warmup",
        dest="warmup_s",
        type=_duration,
        metavar="TIME",
        help="least time before the window (default: 2 s to 20 s by users)",
    )
    much.add_argument(
        "--timeout", dest="timeout_s", type=_duration, metavar="TIME", help="longest wait for an answer (default: 600s)"
    )
    kept = run.add_argument_group("what is kept")
    _add_out(kept)
    kept.add_argument("--name", metavar="TEXT", help="name of the run folder after the date")
    kept.add_argument("--resume", type=Path, metavar="RUN", help="measure the levels that this run lacks")
    _add_json(kept)


_NOT_PLAN: Final = frozenset({"command", "out", "json", "resume"})


def _run(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import resume, run

    given = {key: value for key, value in vars(arguments).items() if key not in _NOT_PLAN and value is not None}
    if arguments.resume is not None:
        if given:
            raise UsageError("--resume takes the plan from the run; leave the other options out")
        return resume(arguments.resume, json_to=arguments.json)
    return run(given, out=arguments.out, json_to=arguments.json)


def _show(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import show

    return show(arguments.run, json_to=arguments.json)


def _runs(arguments: argparse.Namespace) -> int:
    from breakeven.app.commands import runs

    return runs(arguments.out)


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {"run": _run, "show": _show, "runs": _runs}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a limit missed, 130 interrupted."""
    try:
        arguments = _parser().parse_args(words)
        return _COMMANDS[arguments.command](arguments)
    except BreakevenError as error:
        print(f"breakeven: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("breakeven: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
