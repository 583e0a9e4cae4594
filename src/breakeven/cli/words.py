"""What options are made of: durations, lists of users, and the options that several commands share."""

import argparse
import os
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from breakeven.units import parse_duration_s

DEFAULT_OUT: Final = "runs"


def duration(text: str) -> float:
    """Seconds in a text; argparse shows what is wrong."""
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def duration_or_auto(text: str) -> float | None:
    """`auto` is None."""
    return None if text == "auto" else duration(text)


def users(text: str) -> tuple[int, ...]:
    """A list of numbers of users."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers of users; write it like 1,5,10,50,100")
    return tuple(int(part) for part in parts)


def users_or_auto(text: str) -> tuple[int, ...] | Literal["auto"]:
    """A list of numbers of users, or `auto`."""
    return "auto" if text == "auto" else users(text)


def rates(text: str) -> tuple[float, ...]:
    """A list of requests per second."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of rates; write it like 1,2,4,8") from None


def number_or_text(text: str) -> int | str:
    """A whole number where it is one."""
    return int(text) if text.lstrip("-").isdigit() else text


def name_value(text: str) -> tuple[str, str]:
    """`name=value`; what is wrong is not shown, since it may be a secret."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("write NAME, =, and what belongs to it")
    return name.strip(), value.strip()


def key_value(text: str) -> tuple[str, str]:
    """`key=value`."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is no KEY=VALUE")
    return key.replace("-", "_"), value


def body_fields(text: str) -> dict[str, Any]:
    """Fields of a request: `KEY=VALUE`, the value as JSON where it is some, or a file of JSON."""
    key, equals, value = text.partition("=")
    if key and equals:
        try:
            return {key: msgspec.json.decode(value)}
        except msgspec.DecodeError:
            return {key: value}
    try:
        return msgspec.json.decode(Path(text).read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}; give KEY=VALUE, or a file of JSON") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}; give a file with one object of JSON") from None


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
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {why}")
    return text


def add_json(parser: Any) -> None:
    """The option that every command with a result has."""
    parser.add_argument(
        "--json",
        type=writable,
        metavar="FILE",
        help="write the summary as JSON; - is stdout, and the table goes to stderr",
    )


def add_out(parser: Any) -> None:
    """Where run folders lie."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(DEFAULT_OUT),
        metavar="FOLDER",
        help="where run folders are made (default: runs)",
    )
