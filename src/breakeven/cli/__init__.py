"""The command line: text in, one call into `app`, exit code out."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from breakeven import __version__
from breakeven.cli import calibrate, exchange, money, report, run, stored, study
from breakeven.errors import BreakevenError, UsageError, one_line

INTERRUPTED: Final = 130
LONGEST_ERROR: Final = 2000
_ROOMS: Final = (run, study, stored, money, report, exchange, calibrate)


class Parser(argparse.ArgumentParser):
    """One clear line for wrong usage, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    made = Parser(
        prog="breakeven",
        description="Which GPU, engine and price serves an LLM at the lowest cost: measured, with error bars.",
    )
    made.add_argument("--version", action="version", version=f"breakeven {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for room in _ROOMS:
        room.add(commands)
    return made


def _told(error: BreakevenError) -> str:
    """The error; what it quotes of a log follows on lines of its own, set in, so that none looks like another error."""
    first, *more = str(error).splitlines() or [""]
    return "\n".join([one_line(first, limit=LONGEST_ERROR), *(f"  {one_line(line)}" for line in more)])


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a limit missed, 130 interrupted."""
    try:
        arguments = parser().parse_args(words)
        code: int = arguments.do(arguments)
    except BreakevenError as error:
        print(f"breakeven: {_told(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("breakeven: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code
