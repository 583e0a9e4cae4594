"""A command is a row: its name, its texts, its options and what it does."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from breakeven.options import SWITCH, Kind, Option

DEFAULT_OUT: Final = "runs"


class Command(NamedTuple):
    """One command, or one action of a command."""

    name: str
    help: str
    do: Callable[[argparse.Namespace], int] | None = None
    options: Sequence[Option] = ()
    description: str | None = None
    """None: the help as a sentence."""
    examples: str = ""
    actions: "Sequence[Command]" = ()


def add(commands: Any, command: Command) -> None:
    """Add a command with its options, or its actions, to the parser."""
    made = commands.add_parser(
        command.name,
        help=command.help,
        description=command.description or f"{command.help[0].upper()}{command.help[1:]}.",
        epilog=f"examples:\n{command.examples}" if command.examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command.actions:
        actions = made.add_subparsers(dest="kind", metavar="ACTION", required=True)
        for action in command.actions:
            add(actions, action)
        return
    groups = {"": made}
    for option in command.options:
        if option.word is None:
            if option.group not in groups:
                groups[option.group] = made.add_argument_group(option.group)
            word = option.name if option.name.startswith("-") else option.place
            groups[option.group].add_argument(word, **_told(option))
    made.set_defaults(do=command.do)


def _told(option: Option) -> dict[str, Any]:
    """What argparse wants to know of an option."""
    told: dict[str, Any] = {"help": option.help.replace("%", "%%"), "default": option.default}
    if option.name.startswith("-"):
        told["dest"] = option.place
    else:
        told["metavar"] = option.name
    if option.kind is SWITCH:
        return told | {"action": "store_true"}
    told["type"] = _reader(option.kind)
    if option.kind.is_many:
        told["action"] = "append"
    if option.unit is not None:
        told["metavar"] = tuple(option.unit.split()) if option.values == 2 else option.unit
    more = {
        "choices": option.choices or None,
        "nargs": option.values,
        "const": option.const,
        "required": option.is_needed or None,
    }
    return told | {name: value for name, value in more.items() if value is not None}


def _reader(kind: Kind) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def writable(text: str) -> str:
    """A file that can be written, found out before there is anything to write; `-` is stdout."""
    path = Path(text)
    why = (
        None
        if text == "-"
        else "it is a folder"
        if path.is_dir()
        else f"no such folder as {path.parent}"
        if not path.parent.is_dir()
        else "it, or its folder, must not be written to"
        if not os.access(path if path.exists() else path.parent, os.W_OK)
        else None
    )
    if why is not None:
        raise ValueError(f"{text} cannot be written: {why}")
    return text


WRITABLE: Final = Kind(writable)
JSON: Final = Option(
    "--json", "write the summary as JSON; - is stdout, and the table goes to stderr", "FILE", kind=WRITABLE
)
OUT: Final = Option(
    "--out",
    "where run folders are made (default: runs)",
    "FOLDER",
    kind=Kind(Path),
    default=Path(DEFAULT_OUT),
)
