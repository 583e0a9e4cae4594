"""Rules of a market: which figure of a node, against which threshold, and words for its host."""

import math
import re
import tomllib
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.errors import UsageError, mistyped, one_line
from breakeven.fleet.rows import Rows
from breakeven.fleet.scores import FEW_NODES, Scores
from breakeven.fleet.spread import bulk
from breakeven.units import counted

Figures = NDArray[np.float64]
ROBUST_SD: Final = 3.0
_USERS: Final = re.compile(r"users_(\d+)_tok_per_s")


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a rule file."""

    metric: str
    """A row of METRICS, or `users_N_tok_per_s`."""
    rule: str
    """A form of FORMS."""
    optional: bool = False
    """It is told, and decides nothing."""
    words: str | None = None
    """For the host, where it fails."""


class RuleFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one market."""

    market: str | None = None
    """As the jobs have it; None: every market."""
    address: str | None = None
    """What the platform calls the market; None: `market`."""
    gpu: str | None = None
    """Only for this detected card: a key of the table."""
    template: str | None = None
    rules: tuple[Rule, ...]


class Metric(NamedTuple):
    """What a rule can be about: a figure of a node within a stratum."""

    label: str
    unit: str
    better: Literal["lower", "higher"]
    of: Callable[[dict[str, Figures]], Figures]
    """From `node_figures`, `speed` and `users_N_tok_per_s`."""
    key: str
    """What Nosana calls it; {t} is the template."""


METRICS: Final[dict[str, Metric]] = {
    "speed": Metric(
        "speed beside the median of its like", "%", "higher", lambda at: 100 * at["speed"], "{t}.speed_pct"
    ),
    "temperature_max_c": Metric(
        "highest temperature", "degrees C", "lower", lambda at: at["temperature_max_c"], "{t}.gpu_temperature_max"
    ),
    "power_mean_w": Metric("power", "W", "lower", lambda at: at["power_mean_w"], "{t}.gpu_wattage_avg"),
    "clock_mhz": Metric("clock", "MHz", "higher", lambda at: at["clock_mhz"], "{t}.gpu_clock_avg"),
    "memory_gb": Metric("memory", "GB", "higher", lambda at: at["memory_bytes"] / 1e9, "gpu_memory_gb"),
    "download_mbit_per_s": Metric(
        "download speed", "Mbit/s", "higher", lambda at: at["download_bit_per_s"] / 1e6, "download_speed_mbps"
    ),
    "failed_requests_pct": Metric(
        "failed requests", "%", "lower", lambda at: 100 * at["failed_requests_share"], "{t}.failed_requests_pct"
    ),
    "usd_per_h": Metric("price", "USD/h", "lower", lambda at: at["usd_per_h"], "usd_per_h"),
}
"""Beside these `users_N_tok_per_s` for each number of users that was measured."""


def metric_of(name: str) -> Metric:
    """The row of a name; UsageError for one that is not known."""
    level = _USERS.fullmatch(name)
    if level is not None:
        users = int(level[1])
        label = f"throughput at {counted(users, 'user')}"
        return Metric(label, "tok/s", "higher", lambda at: at[name], f"{{t}}.users_{users}_tokens_per_second_mean")
    if name not in METRICS:
        raise UsageError(mistyped("metric", name, [*METRICS, "users_1_tok_per_s"]))
    return METRICS[name]


class Limit(NamedTuple):
    """A threshold within one stratum."""

    value: float | None
    """None: each node has its own test, or too few nodes to tell."""
    is_most: bool = False
    """The figure must not be above it; else not below."""
    nodes: int | None = None
    """How many it is worked out from."""
    middle: float | None = None
    """Their mean, or for `robust` their median."""
    by_test: bool = False


class Form(NamedTuple):
    """One way to write a threshold."""

    shape: re.Pattern[str]
    limit: Callable[[Figures, float, bool], Limit]
    """From the figures of the stratum's nodes, the number in the rule, and whether lower is better."""
    example: str


def _known(values: Figures) -> Figures:
    return values[np.isfinite(values)]


def _share_of_mean(values: Figures, number: float, lower: bool) -> Limit:
    known = _known(values)
    if len(known) < FEW_NODES:
        return Limit(None, nodes=len(known))
    mean = float(np.mean(known))
    factor = 1 + number / 100 if lower else 1 - number / 100
    return Limit(mean * factor, lower, len(known), mean)


def _robust(values: Figures, _number: float, lower: bool) -> Limit:
    known = _known(values)
    if len(known) < FEW_NODES:
        return Limit(None, nodes=len(known))
    logs = bulk(np.log(np.maximum(known, 1e-9)))
    end = logs.centre + ROBUST_SD * (logs.sd or 0.0) * (1 if lower else -1)
    return Limit(math.exp(end), lower, len(known), math.exp(logs.centre))


def _tested(_values: Figures, _number: float, _lower: bool) -> Limit:
    return Limit(None, by_test=True)


NUMBER: Final = r"(\d+(?:\.\d+)?)"
FORMS: Final[dict[str, Form]] = {
    "mean": Form(re.compile(rf"mean [-−+] {NUMBER} ?%"), _share_of_mean, "mean - 20 %"),
    "robust": Form(re.compile("robust"), _robust, "robust"),
    "tested": Form(re.compile("tested"), _tested, "tested"),
    "at least": Form(re.compile(rf"at least {NUMBER}"), lambda _v, number, _l: Limit(number), "at least 100"),
    "at most": Form(re.compile(rf"at most {NUMBER}"), lambda _v, number, _l: Limit(number, True), "at most 85"),
}
"""`mean - 20 %`: no more than so far on the wrong side of the mean of its like (+ for what should be low). `robust`:
within three robust sd of their median on the log scale. `tested`: not called slow by `fleet inspect` (speed only)."""


def form_of(rule: str) -> tuple[Form, float]:
    """The form of a rule's text and its number, 0 where it has none; UsageError for another text."""
    for form in FORMS.values():
        match = form.shape.fullmatch(" ".join(rule.split()))
        if match is not None:
            return form, float(match[1]) if match.groups() else 0.0
    known = ", ".join(form.example for form in FORMS.values())
    raise UsageError(f"'{one_line(rule, limit=60)}' is no rule; write it like {known}")


def read_rules(text: str, *, where: str) -> RuleFile:
    """A rule file; UsageError in one line for what is not known or cannot be."""
    try:
        found = msgspec.convert(tomllib.loads(text), RuleFile)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {str(error).replace('$.', '')}") from None
    if not found.rules:
        raise UsageError(f"{where}: has no [[rules]]; give one at least")
    for number, rule in enumerate(found.rules, 1):
        try:
            _check(rule)
        except UsageError as error:
            raise UsageError(f"{where}: rule {number}: {error}") from None
    return found


def _check(rule: Rule) -> None:
    metric, (form, number) = metric_of(rule.metric), form_of(rule.rule)
    if form is FORMS["tested"] and rule.metric != "speed":
        raise UsageError(f"tested is of speed alone, not of {rule.metric}")
    if form is FORMS["mean"]:
        sign = "+" if "+" in rule.rule else "-"
        wanted = "+" if metric.better == "lower" else "-"
        if sign != wanted:
            raise UsageError(f"{rule.metric} is better {metric.better}: write mean {wanted} {number:g} %")
        if sign == "-" and number >= 100:
            raise UsageError(f"mean - {number:g} % is below anything; give less than 100 %")


def figures_of(rows: Rows, scores: Scores, figures: dict[str, Figures]) -> dict[str, Figures]:
    """All that metrics are made from: facts of nodes, `speed` and the levels."""
    levels = {f"users_{n}_tok_per_s": scores.tok_per_s[:, i] for i, n in enumerate(rows.users)}
    return {**figures, "speed": np.exp(scores.score), **levels}


def figure(metric: str, at: dict[str, Any]) -> Figures:
    """One figure a row; NaN throughout for a number of users that was not measured."""
    if _USERS.fullmatch(metric) and metric not in at:
        return np.full(len(at["speed"]), np.nan)
    return metric_of(metric).of(at)
