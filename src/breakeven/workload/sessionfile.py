"""Recorded agent sessions as they are read from a file: turns, what each waits for, and what its prompt repeats."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.errors import UsageError, one_line
from breakeven.workload.rows import Row, form_of, read_rows, shown


class Turn(NamedTuple):
    """One request of a session. It is due `pause_s` after the last of the turns that it waits for has ended."""

    name: str
    after: tuple[int, ...]
    """Places of these turns in the session; of none: it is due `pause_s` after the session began."""
    pause_s: float
    """What tools and people took."""
    input_tokens: int
    output_tokens: int
    base: tuple[int, int] | None = None
    """The turn whose prompt this one's begins with, as session and place; None: it shares nothing."""
    shared_tokens: int = 0
    """So many of its first tokens are those of `base`."""


class Session(NamedTuple):
    """What one agent did: its turns in an order in which each stands behind those that it waits for."""

    name: str
    arrival_s: float | None
    """When it began, counted from an origin of the file's own; None where the file does not say."""
    turns: tuple[Turn, ...]


class Recorded(NamedTuple):
    """The sessions of a file, by the time that they began where it is known."""

    form: str
    sessions: tuple[Session, ...]


class Form(NamedTuple):
    """A format of recorded sessions, known by the fields of its rows."""

    fields: tuple[str, ...]
    read: Callable[[Iterator[Row]], Sequence[Session]]


def read_sessions(path: Path, *, forms: Mapping[str, Form]) -> Recorded:
    """The sessions of a file, its format found by its first row; UsageError names the line that is wrong."""
    with read_rows(path) as rows:
        first = next(rows, None)
        if first is None:
            raise UsageError(f"{path}: holds no session")
        name = form_of(first, {name: form.fields for name, form in forms.items()}, what="recorded session")
        sessions = forms[name].read(itertools.chain([first], rows))
    if not sessions:
        raise UsageError(f"{path}: holds no turn that can be asked")
    return Recorded(name, tuple(_checked(sessions)))


def _checked(sessions: Sequence[Session]) -> Sequence[Session]:
    """All sessions began at a known time, or none did: a file that mixes the two has no times to replay."""
    if len({session.arrival_s is None for session in sessions}) > 1:
        missing = next(session.name for session in sessions if session.arrival_s is None)
        raise UsageError(f"session '{_short(missing)}' does not say when it began, and others do; give all a time")
    return sessions


class Line(NamedTuple):
    """A turn in the plain format, its names not yet looked up."""

    where: str
    name: str
    after: tuple[str, ...]
    pause_s: float
    input_tokens: int
    output_tokens: int
    continues: str | None
    shared_tokens: int | None
    arrival_s: float | None


def read_plain(rows: Iterator[Row]) -> Sequence[Session]:
    """One turn a line: the format that `breakeven export --as sessions` writes, described in docs/WORKLOADS.md."""
    lines: dict[str, list[Line]] = {}
    for row in rows:
        mine = lines.setdefault(row.text("session"), [])
        mine.append(_line(row, before=mine[-1].name if mine else None, number=len(mine) + 1))
    return [_session(number, name, mine) for number, (name, mine) in enumerate(lines.items())]


def _line(row: Row, *, before: str | None, number: int) -> Line:
    after = row.fields.get("after", [] if before is None else [before])
    if not isinstance(after, list) or not all(isinstance(name, str) for name in after):
        raise UsageError(f"{row.where}: 'after' must be a list of names of turns, but is {shown(after)}")
    continues = row.fields.get("continues", after[-1] if after else None)
    if not (continues is None or isinstance(continues, str)):
        raise UsageError(f"{row.where}: 'continues' must be the name of a turn, but is {shown(continues)}")
    return Line(
        where=row.where,
        name=row.text("turn") if "turn" in row.fields else str(number),
        after=tuple(after),
        pause_s=row.number("pause_s") if "pause_s" in row.fields else 0.0,
        input_tokens=row.tokens("input_tokens"),
        output_tokens=row.tokens("output_tokens"),
        continues=continues,
        shared_tokens=row.tokens("shared_tokens", least=0) if "shared_tokens" in row.fields else None,
        arrival_s=row.number("arrival_s") if row.fields.get("arrival_s") is not None else None,
    )


def _session(number: int, name: str, lines: list[Line]) -> Session:
    by_name: dict[str, Line] = {}
    for line in lines:
        if by_name.setdefault(line.name, line) is not line:
            raise UsageError(f"{line.where}: session '{_short(name)}' has a turn '{_short(line.name)}' already")
    order = _order(name, by_name)
    places = {line.name: place for place, line in enumerate(order)}
    turns = [_turn(line, number, places, by_name) for line in order]
    return Session(name, next((line.arrival_s for line in lines if line.arrival_s is not None), None), tuple(turns))


def _order(session: str, by_name: Mapping[str, Line]) -> list[Line]:
    """Each turn behind those that it waits for, else as in the file; UsageError where they wait in a circle."""
    for line in by_name.values():
        for wanted in line.after if line.continues is None else (*line.after, line.continues):
            _check_known(line, wanted, session, by_name)
    waits = {line.name: set(line.after) for line in by_name.values()}
    order: list[Line] = []
    while waits:
        found = len(order)
        for name in list(waits):
            if not waits[name] & waits.keys():
                order.append(by_name[name])
                del waits[name]
        if len(order) == found:
            circle = ", ".join(map(_short, itertools.islice(waits, 5)))
            where = by_name[next(iter(waits))].where
            raise UsageError(f"{where}: turns of session '{_short(session)}' wait for each other in a circle: {circle}")
    return order


def _check_known(line: Line, name: str, session: str, by_name: Mapping[str, Line]) -> None:
    if name not in by_name:
        has = ", ".join(map(_short, itertools.islice(by_name, 5)))
        raise UsageError(f"{line.where}: session '{_short(session)}' has no turn '{_short(name)}'; it has: {has}")


def _turn(line: Line, session: int, places: Mapping[str, int], by_name: Mapping[str, Line]) -> Turn:
    """What it shares is by default the whole prompt of the turn that it continues, where its own is as long."""
    base = None if line.continues is None else by_name[line.continues]
    if base is not None and places[base.name] >= places[line.name]:
        raise UsageError(f"{line.where}: it cannot continue '{_short(base.name)}', which does not come before it")
    shared = line.shared_tokens
    if base is None:
        shared = 0
    elif shared is None:
        shared = whole_prompt(base.input_tokens, of=line.input_tokens)
    elif shared > min(base.input_tokens, line.input_tokens):
        raise UsageError(
            f"{line.where}: 'shared_tokens' is {shared}, more than the prompt has or that of '{_short(base.name)}'"
        )
    return Turn(
        name=line.name,
        after=tuple(places[name] for name in line.after),
        pause_s=line.pause_s,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        base=(session, places[base.name]) if base is not None and shared else None,
        shared_tokens=shared,
    )


def whole_prompt(base_tokens: int, *, of: int) -> int:
    """A prompt that has not become shorter begins with the one before it; a shorter one was made anew."""
    return base_tokens if base_tokens <= of else 0


def _short(text: str) -> str:
    return one_line(text, limit=40)


PLAIN: Final = Form(("session", "input_tokens", "output_tokens"), read_plain)
