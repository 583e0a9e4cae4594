"""What a search of settings did, and what it took: the facts that `tune` tells beside the study's own."""

from collections.abc import Mapping

from msgspec import Struct

from breakeven.findings.study import Of
from breakeven.metrics.summary import Estimate


class Foreseen(Struct, frozen=True, kw_only=True):
    """Settings that were predicted before any was measured, and which of them are measured."""

    card: str
    """The GPU that they were predicted for."""
    goal: Of
    settings: int
    best: str
    figure: Estimate
    """What is predicted of the best."""
    near: int
    """Settings whose prediction lies inside the interval of the best one's."""
    kept: int
    """Those of them that are measured."""
    nothing: int
    """Settings that are predicted to give nothing."""


class AsPredicted(Struct, frozen=True, kw_only=True):
    """A prediction that went before the search, looked back on."""

    card: str
    settings: int
    figure: float | None
    """What was predicted of the setting that turned out best; None where there is none."""


class Matrix(Struct, frozen=True, kw_only=True):
    """The full matrix that a search is held against."""

    settings: int
    rounds: int
    takes_s: float | None
    """By the mean start and level that were seen, an estimate; None before any level."""


class Searched(Struct, frozen=True, kw_only=True):
    """A search as far as it got."""

    goal: Of
    settings: int
    tried: int
    starts: int
    """Starts of the settings that were tried."""
    failed: int
    skipped: int
    """Left out beside one that failed."""
    in_the_way: int
    """Could not be tried, for what was in the way of any setting."""
    used_s: float
    is_over: bool
    margin: float
    """Nothing that is left may be more than this share better."""
    as_good: int
    """Settings beside the leader that may be as good, of those that were tried."""
    spread: float | None
    """Standard deviation between starts of one setting, of the log; None where none was started twice."""
    predicted: AsPredicted | None = None
    matrix: Matrix


class Repeat(Struct, frozen=True, kw_only=True):
    """How to get the best setting again."""

    plan: str
    """Path of its plan file."""
    settings: Mapping[str, object] | None = None
    """What the embedded engine is told; None for another engine."""
    model: str | None = None
    """What the embedded engine serves, where it is not the one that it brings."""
    lines: tuple[str, ...] = ()
    """Commands that serve with it."""
