"""The live line: how far the run and its level are. It writes a line and nothing more, so as not to disturb."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from breakeven.clock import now_s
from breakeven.errors import printable
from breakeven.hidden import hidden
from breakeven.load.level import LevelPlan, Progress
from breakeven.metrics.summary import LevelSummary
from breakeven.report.ahead import Ahead
from breakeven.say import half_width, in_doubt
from breakeven.units import load_text, short_count

_EVERY_S: Final = 0.25
_WAIT_EVERY_S: Final = 10.0
_LONGEST_LINE: Final = 100
"""Where a terminal does not say how wide it is."""


class Live:
    """On a terminal one line a level that is written over; else a line when a level begins to be measured."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._last_s = 0.0
        self._shown: object = None
        self._noted = 0
        self._is_open = False
        self._ahead = Ahead()

    def expect(self, levels_s: Sequence[float | None]) -> None:
        """Levels to come and the longest that each may take, None where nobody can say: what the bar is of."""
        self._ahead.expect(levels_s)

    def say(self, text: str) -> None:
        """A line of its own."""
        self.clear()
        self._write(printable(hidden(text)) + "\n")

    def waiting(self, waited_s: float, text: str) -> None:
        """How long something is waited for, and what it said last; without a terminal each ten seconds."""
        line = printable(f"{waited_s:5.0f} s  {text}")
        if not self._is_terminal:
            if now_s() - self._last_s >= _WAIT_EVERY_S:
                self._last_s = now_s()
                self.say(line)
            return
        self._over_write(line)

    def clear(self) -> None:
        """Take the live line away."""
        if self._is_open:
            self._write("\r\x1b[K")
            self._is_open = False

    def _write(self, text: str) -> None:
        """A terminal that is gone, or a full disk, ends no measurement."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def show(self, progress: Progress) -> None:
        """Show how far a level is; called at every tick. What its crew notes is said once, when it happens."""
        for note in progress.notes[self._noted :]:
            self.say(f"{_load_text(progress.plan)}: {note.text}")
        self._noted = len(progress.notes)
        if not self._is_terminal:
            place = progress.plan
            if progress.phase == "measuring" and place != self._shown:
                self._shown = place
                self.say(f"{_load_text(place)}: measuring")
            return
        now = now_s()
        if now - self._last_s < _EVERY_S:
            return
        self._last_s = now
        self._over_write(self._line(progress))

    def _over_write(self, line: str) -> None:
        """As much of a line as the terminal has room for, since one that wraps cannot be written over."""
        self._write("\r\x1b[K" + line[: self._width()])
        self._is_open = True

    def _width(self) -> int:
        try:
            known = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            known = 0
        return known - 1 if known > 1 else _LONGEST_LINE

    def finished(self, level: LevelSummary) -> None:
        """A line for a level that is over; the next may be the same once more."""
        self._shown = None
        self._ahead.finished()
        speed, ci95 = level.output_tok_per_s.value, level.output_tok_per_s.ci95
        how_sure = in_doubt(speed, ci95, short_count)
        rate = "nothing measured" if speed is None else f"{short_count(speed)} tok/s {how_sure}".rstrip()
        errors = f", {level.errors} errors" if level.errors else ""
        load = load_text(level.users, level.req_per_s_offered)
        lost = level.extra.get("clients_lost")
        mark = f"  ! {lost} client{'s' if lost > 1 else ''} lost" if lost else ""
        self.say(f"{load:>10}  {rate}, {level.requests} answers{errors}, stopped by {level.stopped}{mark}")

    def _line(self, progress: Progress) -> str:
        return "  ".join((self._ahead.text(now_s=now_s()), *_parts(progress)))


def _parts(progress: Progress) -> Iterator[str]:
    of = "" if progress.phase_of_s is None else f"/{progress.phase_of_s:.0f}"
    yield f"{_load_text(progress.plan)} {progress.phase} {progress.phase_s:.0f}{of} s"
    if progress.tok_per_s is not None:
        yield f"{short_count(progress.tok_per_s)} tok/s now"
    if progress.half_width is not None:
        yield f"± {half_width(progress.half_width)}"
    yield f"{progress.done} answers"
    if progress.errors:
        yield f"{progress.errors} errors"


def _load_text(plan: LevelPlan) -> str:
    load = load_text(plan.users, plan.req_per_s)
    return f"trace, {load}" if plan.users is None and plan.arrivals == "trace" else load
