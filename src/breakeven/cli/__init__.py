"""The command line: text in, one call into `app`, exit code out."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from breakeven import __version__
from breakeven.cli import calibrate, exchange, money, prices, report, run, stored, study
from breakeven.errors import BreakevenError, UsageError, mistyped, one_line

INTERRUPTED: Final = 130
_ROOMS: Final = (run, study, stored, money, prices, report, exchange, calibrate)


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

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("--"):
            self.error(f"'{one_line(word, limit=60)}' is one word too many")
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        self.error(mistyped("option", one_line(word.partition("=")[0], limit=60), known))


def parser() -> Parser:
    """Every command with its options."""
    made = Parser(
        prog="breakeven",
        description="Which GPU, engine and price serves an LLM at the lowest cost: measured, with error bars.",
    )
    made.add_argument("--version", action="version", version=f"breakeven {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for room in _ROOMS:
        room.add(commands)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a limit missed, 130 interrupted."""
    whole = parser()
    try:
        arguments = whole.parse_args(words)
        if arguments.command is None:
            whole.print_help()
            return 0
        code: int = arguments.do(arguments)
    except BreakevenError as error:
        print(f"breakeven: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("breakeven: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code
