"""Telemetry as series over time: what they come to over a window."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from breakeven.metrics.statistics import Floats

STEADY_GAP_S: Final = 2.0
"""Of what is sampled ten times a second: nothing is made up over a longer hole."""


class Span(NamedTuple):
    """From `open_s` to `close_s`, seconds since the run began."""

    open_s: float
    close_s: float

    @property
    def length_s(self) -> float:
        return self.close_s - self.open_s


class Missing(NamedTuple):
    """A figure that there is not, and why."""

    reason: str


Figure = float | Missing


class Series(Struct, frozen=True):
    """Values of one thing in order of time; the arrays are parallel."""

    at_s: Floats
    values: Floats

    def within(self, window: Span) -> "Series":
        """The samples inside the window."""
        inside = (self.at_s >= window.open_s) & (self.at_s <= window.close_s)
        return Series(self.at_s[inside], self.values[inside])


class Samples(Struct, frozen=True, kw_only=True):
    """All that was sampled beside a run, and why what is missing is missing."""

    series: Mapping[tuple[str, str | None, str], Series]
    """By source, device and name."""
    missing: Mapping[str, str]
    """By `source`, `source.name` or `source.device.name`."""

    def devices(self, source: str) -> list[str]:
        """The devices of a source that gave anything, or a reason why not, in order."""
        gave = {device for of, device, _ in self.series if of == source and device is not None}
        unable = {key.split(".", 1)[1].rpartition(".")[0] for key in self.missing if key.startswith(source + ".")}
        return sorted((gave | unable) - {""}, key=lambda name: (len(name), name))

    def of(self, source: str, name: str, *, device: str | None = None) -> Series | Missing:
        """A series, or why there is none."""
        found = self.series.get((source, device, name))
        if found is not None and len(found.at_s):
            return found
        key = f"{source}.{name}" if device is None else f"{source}.{device}.{name}"
        return Missing(self.missing.get(key) or self.why(source))

    def why(self, source: str) -> str:
        """Why a source gave nothing: its own reason, else any that it gave."""
        given = [why for key, why in self.missing.items() if key.startswith(source + ".")]
        return self.missing.get(source) or next(iter(given), "it was not sampled")


def over(series: Series | Missing, window: Span, figure: Callable[[Series, Span], Figure]) -> Figure:
    """`figure` of a series where there is one, else why not."""
    return series if isinstance(series, Missing) else figure(series, window)


def increase(series: Series, window: Span) -> Figure:
    """Of a counter: value at the window's end - value at its start, each between the samples before and after it."""
    first, last = (_at(series, when_s) for when_s in window)
    if isinstance(first, Missing):
        return first
    if isinstance(last, Missing):
        return last
    inside = series.within(window).values
    steps = np.diff(np.concatenate([[first], inside, [last]]))
    if np.any(steps < 0):
        return Missing("the counter went back inside the window, so it was started again")
    return last - first


def integral(series: Series, window: Span) -> Figure:
    """Area under the series over the window, by trapezoids: joules out of watts."""
    first, last = (_at(series, when_s) for when_s in window)
    if isinstance(first, Missing):
        return first
    if isinstance(last, Missing):
        return last
    inside = series.within(window)
    at_s = np.concatenate([[window.open_s], inside.at_s, [window.close_s]])
    if float(np.max(np.diff(at_s))) > STEADY_GAP_S:
        return Missing(f"a hole of {float(np.max(np.diff(at_s))):.1f} s in the samples")
    return float(np.trapezoid(np.concatenate([[first], inside.values, [last]]), at_s))


def mean(series: Series, window: Span) -> Figure:
    """Average over the samples inside the window, each for the same share of it."""
    return _of_inside(series, window, np.mean)


def largest(series: Series, window: Span) -> Figure:
    """Maximum over the samples inside the window."""
    return _of_inside(series, window, np.max)


def bit_share(series: Series, window: Span, *, bits: int) -> Figure:
    """Share of the samples inside the window in which any of these bits is set."""
    return _of_inside(series, window, lambda values: np.mean((values.astype(np.int64) & bits) != 0))


def _of_inside(series: Series, window: Span, figure: Callable[[Floats], np.floating | float]) -> Figure:
    inside = series.within(window).values
    return float(figure(inside)) if len(inside) else Missing("no sample inside the window")


def _at(series: Series, when_s: float) -> Figure:
    """The value at a moment, on the straight line between the samples around it."""
    after = int(np.searchsorted(series.at_s, when_s))
    if after < len(series.at_s) and series.at_s[after] == when_s:
        return float(series.values[after])
    if after == 0 or after == len(series.at_s):
        return Missing("the samples do not reach both ends of the window")
    if series.at_s[after] - series.at_s[after - 1] > STEADY_GAP_S:
        return Missing("the samples have a hole at an end of the window")
    return float(np.interp(when_s, series.at_s, series.values))


def ratio(top: Figure, bottom: Figure) -> Figure:
    """top / bottom; missing where either is, or the bottom is 0."""
    if isinstance(top, Missing):
        return top
    if isinstance(bottom, Missing):
        return bottom
    return top / bottom if bottom else Missing("there was none to divide by")


def total(parts: Sequence[Figure], *, otherwise: str) -> Figure:
    """Sum of the parts, missing where one of them is; where there is no part, missing for the reason `otherwise`."""
    for part in parts:
        if isinstance(part, Missing):
            return part
    return sum(part for part in parts if not isinstance(part, Missing)) if parts else Missing(otherwise)


def put(facts: dict[str, object], name: str, figure: Figure) -> None:
    """Write a figure under its name; for a missing one None, and the reason under `name_reason`."""
    facts[name] = None if isinstance(figure, Missing) else figure
    if isinstance(figure, Missing):
        facts[f"{name}_reason"] = figure.reason
