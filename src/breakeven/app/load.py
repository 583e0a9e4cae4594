"""The load that a command is asked about: users on the command line, or a file of classes."""

from pathlib import Path

from msgspec.structs import replace

from breakeven.app.runs import read_text
from breakeven.errors import UsageError
from breakeven.mix.loadfile import problems, read_load
from breakeven.mix.types import Load, LoadClass


def load_of(command: str, *, users: int | None, file: Path | None, hours: tuple[float, ...] = ()) -> Load:
    """The one load; UsageError where none or two are said, or one cannot be."""
    if (users is None) == (file is None):
        raise UsageError(f"{command}: say the load: --users N, or --load FILE")
    if file is None:
        if users is None or users < 1:
            raise UsageError(f"{command}: --users {users}: give a number above 0")
        load = Load(classes=(LoadClass(users=users),), hours=hours)
    else:
        read = read_load(read_text(file), where=str(file))
        if hours and read.hours:
            raise UsageError(f"{command}: --hours and {file} both say the hours; leave one out")
        load = replace(read, hours=hours or read.hours)
    for problem in problems(load):
        raise UsageError(f"{command}: {problem}")
    return load
