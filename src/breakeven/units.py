"""Units: constants, and the one place where a time or duration is read or a number is made short for people."""

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Final

S_PER_H: Final = 3600.0
H_PER_DAY: Final = 24.0
H_PER_YEAR: Final = 8766.0
H_PER_MONTH: Final = H_PER_YEAR / 12
US_PER_S: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

_DURATION = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|min|h)?\s*", re.ASCII)
_SECONDS: Final = {None: 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": S_PER_H}


def parse_duration_s(text: str) -> float:
    """Read `90`, `90s`, `2m`, `1h` or `500ms` as seconds; ValueError says which forms are known."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no duration; write seconds or a unit: 90, 90s, 2m, 1h, 500ms")
    return float(match[1]) * _SECONDS[match[2]]


def moment(text: str | None) -> datetime.datetime | None:
    """The date and time that a text in ISO 8601 says, of a month alone its first day; None for anything else."""
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(f"{text}-01" if len(text) == len("2024-09") else text)
    except (ValueError, OverflowError):
        return None


def unix_s(at: datetime.datetime) -> float:
    """Seconds since 1970; a time without a zone is taken as UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def short_count(value: float) -> str:
    """Three significant digits with k and M: 48400 -> `48.4k`."""
    for limit, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit * 0.9995:
            scaled = value / (1e6 if letter == "M" else 1e3)
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{letter}"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"


def short_rate(value: float) -> str:
    """Requests per second in three significant digits, however few: 0.05 -> `0.0500`, 21.9 -> `21.9`."""
    return f"{value:#.3g}" if 0 < abs(value) < 99.95 else short_count(value)


def short_s(value_s: float) -> str:
    """A duration in the unit that a person would use: `0.4 ms`, `51 ms`, `4.03 s`, `12.6 s`, `3m20s`."""
    if value_s < 0.9995:
        value_ms = value_s * 1e3
        return f"{value_ms:.1f} ms" if value_ms < 99.95 else f"{value_ms:.0f} ms"
    if value_s < 99.95:
        return f"{value_s:.2f} s" if value_s < 9.995 else f"{value_s:.1f} s"
    minutes, seconds = divmod(round(value_s), 60)
    return f"{minutes}m{seconds:02d}s"


def exact(value: float) -> str:
    """A number as it was given, to twelve digits: `25`, `1234567.5`."""
    return f"{value:.12g}"


def counted(number: int, what: str) -> str:
    """`1 level`, `2 levels`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def rate_text(req_per_s: float) -> str:
    """An offered rate, to the three decimals by which rates are told apart: `2.5`, `1234.567`."""
    return exact(round(req_per_s, 3) or req_per_s)


def load_text(users: int | None, req_per_s: float | None, *, repeat: int | None = None) -> str:
    """`1 user`, `5 users`, `2.5 req/s`, `no rate` of requests that come at one moment; with its repeat, counted from 0,
    `5 users, repeat 2`.
    """
    again = "" if repeat is None else f", repeat {repeat + 1}"
    if users is None:
        return ("no rate" if req_per_s is None else f"{rate_text(req_per_s)} req/s") + again
    return counted(users, "user") + again


def loads_text(loads: Iterable[tuple[int | None, float | None]]) -> str:
    """Loads by size, each once: `1 user`, `10, 50 and 100 users`, `0.5 and 20 req/s`."""
    known = sorted({load for load in loads if load != (None, None)}, key=lambda load: (load[0] or 0, load[1] or 0.0))
    users = [str(users) for users, _ in known if users is not None]
    rates = [rate_text(rate) for users, rate in known if users is None and rate is not None]
    told = (_joined(users, "user" if users == ["1"] else "users"), _joined(rates, "req/s"))
    return " and ".join(filter(None, told)) or load_text(None, None)


def _joined(words: Sequence[str], unit: str) -> str:
    *first, last = words or [""]
    return f"{' and '.join(filter(None, [', '.join(first), last]))} {unit}" if words else ""
