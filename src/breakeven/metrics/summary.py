"""The summary of a run, JSON format 2: what is printed, stored in summary.json and read by everything later.

None (JSON null) stands wherever a figure is undefined. Units are in the names: seconds, tokens, US dollars.
"""

from typing import Any, Final, Literal

from msgspec import Struct, field

from breakeven.caution import Caution

FORMAT = 2


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure with its 95 % interval; an open end is None."""

    value: float | None = None
    ci95: tuple[float | None, float | None] = (None, None)


class Quantile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A percentile with its 95 % interval."""

    value: float | None
    ci95: tuple[float | None, float | None]
    more_than: float | None = None
    """Set where the percentile falls on a censored value: it is more than this."""
    too_few: bool = False
    """A tenth of the window holds too few answers to tell how alike they are, so the interval is too narrow."""


NO_QUANTILE = Quantile(value=None, ci95=(None, None))


class Distribution(Struct, frozen=True, kw_only=True):
    """One metric over the requests that enter it; `censored` of the `n` never came to an end and rank last."""

    n: int = 0
    censored: int = 0
    mean: float | None = None
    p50: Quantile = NO_QUANTILE
    p90: Quantile = NO_QUANTILE
    p95: Quantile = NO_QUANTILE
    p99: Quantile = NO_QUANTILE

    def at(self, statistic: str) -> Quantile:
        """A percentile by its name, or the `mean`, which has no interval."""
        if statistic == "mean":
            return Quantile(value=self.mean, ci95=(None, None))
        found: Quantile = getattr(self, statistic)
        return found


NO_DISTRIBUTION: Final = Distribution()


UNSTEADY: Final = frozenset(
    {"users_unaccounted_for", "trend", "little", "saturated", "warm_up_too_short", "client_died", "log_damaged"}
)
"""Cautions that say that the window was no steady state."""
SUSPECT: Final = frozenset({"client_suspect", "beyond_calibration"})
"""Cautions that say that the client may have spoiled the level."""
NARROW: Final = frozenset({"short_window", "speed_wavers"})
"""Cautions that say that every interval of the level may be too narrow; of single percentiles `too_few` says so."""
NARROW_LATENCIES: Final = frozenset({"places_kept"})
"""The same for the intervals of latencies alone, which depend on when users begin, each against the others."""


class ClientSummary(Struct, frozen=True, kw_only=True):
    """What the instrument cost, and whether it may have spoiled the level."""

    cpu_us_per_token: float | None = None
    cpu_share: float | None = None
    lag_p99_s: float | None = None
    schedule_lag_p99_s: float | None = None
    """Open loop: how late requests were sent, at p99; inside every latency."""
    kernel_stamped: float | None = None
    """Part of the reads that have the kernel's receive stamp: for them it does not matter how late they were read."""
    verdict: Literal["ok", "suspect"] = "ok"


class LevelSummary(Struct, frozen=True, kw_only=True):
    """One level of load: so many users (closed loop) or so many requests per second (open loop)."""

    users: int | None
    req_per_s_offered: float | None = None
    repeat: int = 0
    status: Literal["done", "interrupted", "failed"]
    stopped: Literal["precision", "max", "duration", "requests", "slo", "interrupted", "failed"] | None = None
    window_s: float | None = None
    warm_up_s: float | None = None
    settle_s: float | None = None
    steady: bool = True
    """False when a self-check found that the window was no steady state."""
    requests: int = 0
    """Answers that ended in the window, first answers excluded."""
    cut: int = 0
    errors: int = 0
    """Failed requests of the whole level, warm-up included."""
    errors_by_kind: dict[str, int] = field(default_factory=dict)
    reconnects: int = 0
    input_tokens: int | None = None
    """Prompt tokens of the answers whose first chunk arrived in the window."""
    output_tokens: int | None = None
    """Output tokens that arrived in the window."""
    tokens_from: Literal["usage", "chunks", "mixed"] | None = None
    output_tok_per_s: Estimate = field(default_factory=Estimate)
    total_tok_per_s: Estimate = field(default_factory=Estimate)
    req_per_s: Estimate = field(default_factory=Estimate)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    """By the rows of METRICS; a metric that was not measured is missing."""
    client: ClientSummary = field(default_factory=ClientSummary)
    cautions: tuple[Caution, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    """Further facts by name, unit in the name: telemetry, goodput, schedule lag."""

    def of(self, metric: str) -> Distribution:
        """The distribution of a row of METRICS; an empty one where it was not measured."""
        return self.distributions.get(metric, NO_DISTRIBUTION)


def longer_with(stopped: str | None) -> str:
    """The option that makes a level longer which was stopped so: a given length or count; else the longest window."""
    return {
        "duration": "--duration",
        "precision": "--duration",
        "requests": "more --requests",
        "slo": "a run without --find-max",
    }.get(stopped or "", "--max-duration")


class RunFacts(Struct, frozen=True, kw_only=True):
    """What was measured, on what, with which settings."""

    id: str
    started: str | None = None
    """ISO 8601 with zone."""
    host: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    """`name`, `version`, `url`, `argv` and settings."""
    model: str | None = None
    workload: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["measured", "imported", "data_set", "predicted"]:
        """Whose figures these are: of this program, of another tool, of a shipped data set, of nobody's machine."""
        for kind in ("predicted", "imported", "data_set"):
            if kind in self.settings:
                return kind
        return "measured"


class RepeatFigure(Struct, frozen=True, kw_only=True):
    """One figure over the repeats of a level; None where a repeat lacks it."""

    mean: float | None = None
    between: tuple[float | None, float | None] = (None, None)
    """95 % interval of the mean from the spread between the repeats (t)."""
    within: tuple[float | None, float | None] = (None, None)
    """95 % interval of the mean from the repeats' own intervals."""
    believe: Literal["between", "within"] | None = None
    """The wider of the two."""


class RepeatSummary(Struct, frozen=True, kw_only=True):
    """A load that was measured several times."""

    users: int | None
    req_per_s_offered: float | None = None
    n: int
    figures: dict[str, RepeatFigure] = field(default_factory=dict)
    """Every row of RATES by its name, and the median of every row of METRICS as `ttft_s_p50`."""


class RunSummary(Struct, frozen=True, kw_only=True):
    """A whole run."""

    format: int = FORMAT
    run: RunFacts
    levels: tuple[LevelSummary, ...] = ()
    repeats: tuple[RepeatSummary, ...] = ()
    """Loads that were measured to their end more than once."""
