"""Errors that a person can act on: one line that says what is wrong, where, and what to do."""

import difflib
import re
from collections.abc import Iterable
from typing import ClassVar, Final

LIMIT_MISSED: Final = 3
"""Exit code of what was done, but missed a limit that the user stated: an SLO, a gate, a budget."""
INTERRUPTED: Final = 130
"""Exit code of what was interrupted; its results are kept."""


class BreakevenError(Exception):
    """Something that stops a command. The message is one clear line; `exit_code` is the command's."""

    exit_code: ClassVar[int] = 1

    def __init__(self, first: str, *more: str) -> None:
        super().__init__("\n".join((first, *more)))
        self.first = first
        """What is wrong, without the lines that it quotes of a log."""


class UsageError(BreakevenError):
    """What was asked for makes no sense or is not known: exit code 2."""

    exit_code: ClassVar[int] = 2


class FieldError(UsageError):
    """Fields of a plan that cannot be so, or not together."""

    def __init__(self, why: str, *fields: str) -> None:
        super().__init__(f"{' and '.join(fields)}: {why}")
        self.why = why
        self.fields = fields


class RunFailedError(BreakevenError):
    """The world did not play along (server, disk, network, model): exit code 1."""


class InTheWayError(RunFailedError):
    """What kept an engine from starting is not of the engine or its settings, and may be gone later."""


class LimitMissedError(BreakevenError):
    """Done, but a limit that the user stated was missed."""

    exit_code: ClassVar[int] = LIMIT_MISSED


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """`no engine is called 'vlm'; did you mean 'vllm'? known: openai, vllm`."""
    names = list(known)
    near = _near(name, names)
    hint = f"; did you mean '{near}'?" if near else ";"
    return f"no {kind} is called '{name}'{hint} known: {', '.join(names)}"


def mistyped(kind: str, name: str, known: Iterable[str]) -> str:
    """The same for a word whose `--help` has the whole list: it is told only where no known word is near."""
    names = list(known)
    near = _near(name, names)
    return f"no {kind} is called '{name}'; did you mean '{near}'?" if near else unknown(kind, name, names)


def _near(name: str, names: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)), None)


LONGEST_NAME: Final = 200
"""Characters of a name that a server, a file or a folder gives; a longer one is no name."""


def one_line(text: str, *, limit: int = 300) -> str:
    """Make a foreign text safe to show: every one passes through here on its way in, and names with LONGEST_NAME.

    What moves a cursor, writes a title, turns the reading direction or ends a line becomes a space: control characters
    (C0, C1, so CSI and OSC too), marks of direction and separators. White space is folded, the end is cut.
    """
    clean = " ".join(printable(text[: 4 * limit]).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def uncoloured(text: str) -> str:
    """A text of another program without its colours."""
    return _COLOUR.sub("", text)


def printable(text: str) -> str:
    """The text with a space for each character that is no letter, sign or space."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
