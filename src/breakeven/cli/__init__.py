"""The command line: text in, one call into `app`, exit code out."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final, NoReturn, TextIO

from breakeven import __version__
from breakeven.cli import calibrate, exchange, money, prices, report, run, stored, study
from breakeven.errors import BreakevenError, RunFailedError, UsageError, one_line
from breakeven.hidden import hidden

INTERRUPTED: Final = 130
LONGEST_ERROR: Final = 2000
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_ROOMS: Final = (run, study, stored, money, prices, report, exchange, calibrate)


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
    first, *more = hidden(str(error)).splitlines() or [""]
    return "\n".join([one_line(first, limit=LONGEST_ERROR), *(f"  {one_line(line)}" for line in more)])


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a limit missed, 130 interrupted."""
    _hang_up_is_an_interrupt()
    try:
        arguments = parser().parse_args(words)
        code: int = arguments.do(arguments)
        sys.stdout.flush()
    except BreakevenError as error:
        return _say(_told(error), code=error.exit_code)
    except KeyboardInterrupt:
        return _say("interrupted", code=INTERRUPTED)
    except BrokenPipeError:
        _let_go(sys.stdout)
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        _let_go(sys.stdout)
        return _say(f"cannot write to standard output: {error.strerror}", code=RunFailedError.exit_code)
    return code


def _say(text: str, *, code: int) -> int:
    """A line on standard error, where it takes one."""
    try:
        print(f"breakeven: {text}", file=sys.stderr, flush=True)
    except OSError:
        _let_go(sys.stderr)
    return code


def _let_go(stream: TextIO) -> None:
    """What is left in a stream that takes no more would be complained about at the end of the process."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _hang_up_is_an_interrupt() -> None:
    """A terminal that goes away ends a run as Ctrl-C does, unless nohup was asked to hold it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
