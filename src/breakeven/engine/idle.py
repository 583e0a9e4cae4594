"""How busy an engine is, out of its Prometheus text."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_SAMPLE: Final = re.compile(
    r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)(?:\s+-?\d+)?\s*', re.ASCII
)
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"', re.ASCII)


class Busy(NamedTuple):
    """Requests at work or waiting, and how long ago that may have been."""

    requests: int
    age_s: float = 0.0


def samples(metrics_text: str) -> Iterator[tuple[str, float]]:
    """Name and value of every sample, labels left out; lines that are none are passed over."""
    for line in metrics_text.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is None:
            continue
        try:
            yield match[1], float(match[3])
        except ValueError:
            continue


def labelled(line: str) -> tuple[str, dict[str, str], float] | None:
    """Name, labels and value of one line; None where it is no sample."""
    match = _SAMPLE.fullmatch(line)
    try:
        return None if match is None else (match[1], dict(_LABEL.findall(match[2] or "")), float(match[3]))
    except ValueError:
        return None


def metric_sum(metrics_text: str, name: str) -> float | None:
    """Sum over all label sets of one metric; None where it is missing or no finite number."""
    values = [value for found, value in samples(metrics_text) if found == name]
    total = sum(values)
    return total if values and math.isfinite(total) else None


def busy_requests(metrics_text: str, names: Sequence[str]) -> int | None:
    """Requests at work or waiting: the sum of the gauges `names`; None unless the text has every one of them."""
    sums = [metric_sum(metrics_text, name) for name in names]
    known = [value for value in sums if value is not None]
    busy = sum(known)
    return round(busy) if sums and len(known) == len(sums) and math.isfinite(busy) else None
