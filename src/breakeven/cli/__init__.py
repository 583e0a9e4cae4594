"""The command line: text in, one call into `app`, exit code out."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, TextIO

from breakeven import __version__
from breakeven.cli import (
    calibrate,
    completion,
    exchange,
    fleet,
    mix,
    money,
    node,
    predict,
    prices,
    report,
    run,
    stored,
    study,
    tune,
)
from breakeven.cli.command import Command, add
from breakeven.errors import INTERRUPTED, BreakevenError, RunFailedError, UsageError, mistyped, one_line
from breakeven.hidden import hidden

LONGEST_ERROR: Final = 2000
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
COMMANDS: Final[tuple[Command, ...]] = tuple(
    command
    for room in (
        *(run, tune, study, stored, money, predict, mix, prices, report, exchange, fleet, node, calibrate),
        completion,
    )
    for command in room.COMMANDS
)


class Parser(argparse.ArgumentParser):
    """One clear line for wrong usage, which names the command's own help, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A word that no command, action or option is called is told with the nearest one, by the parser it is for."""
        words = sys.argv[1:] if args is None else list(args)
        for action in self._actions:  # argparse offers no other look at them
            if isinstance(action.choices, Mapping) and words and not words[0].startswith("-"):
                kind = "command" if action.dest == "command" else "action"
                if words[0] not in action.choices:
                    self.error(mistyped(kind, words[0], list(action.choices)))
        found, left = super().parse_known_args(words, namespace)
        if left:
            self._refuse(left[0])
        return found, left

    def all_actions(self) -> Iterator[argparse.Action]:
        """Every option and plain word of this parser and of those below it."""
        for action in self._actions:
            yield action
            if isinstance(action.choices, Mapping):
                for below in action.choices.values():
                    yield from below.all_actions()

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("--"):
            self.error(f"'{one_line(word, limit=60)}' is one word too many")
        name = one_line(word.partition("=")[0], limit=60)
        owners = _owners(name, COMMANDS)
        if owners:
            self.error(f"{name} is an option of {', '.join(owners)}, not of this command")
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        self.error(mistyped("option", name, known))


def _owners(option: str, commands: Sequence[Command]) -> list[str]:
    """Commands and actions that have this option."""
    found = [command.name for command in commands if any(one.name == option for one in command.options)]
    return found + [f"{command.name} {one}" for command in commands for one in _owners(option, command.actions)]


def parser() -> Parser:
    """Every command with its options."""
    made = Parser(
        prog="breakeven",
        description="Which GPU, engine and price serves an LLM at the lowest cost: measured, with error bars.",
    )
    made.add_argument("--version", action="version", version=f"breakeven {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        add(commands, command)
    return made


def _told(error: BreakevenError) -> str:
    """The error; what it quotes of a log follows on lines of its own, set in, so that none looks like another error."""
    first, *more = hidden(str(error)).splitlines() or [""]
    return "\n".join([one_line(first, limit=LONGEST_ERROR), *(f"  {one_line(line)}" for line in more)])


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a limit missed, 130 interrupted."""
    whole = parser()
    _hang_up_is_an_interrupt()
    try:
        arguments = whole.parse_args(words)
        if arguments.command is None:
            whole.print_help()
            return 0
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
