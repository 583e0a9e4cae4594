"""Writes a run as OpenMetrics text, which Prometheus and its like take in: every figure of every level in one file."""

import datetime
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from breakeven.metrics.definitions import METRICS, RATES, Metric
from breakeven.metrics.statistics import QUANTILES
from breakeven.metrics.summary import Distribution, LevelSummary, RunSummary

FILE: Final = "openmetrics.txt"
_COUNTS: Final = {
    "requests": "answers that ended in the window",
    "errors": "failed requests of the whole level",
    "cut": "requests that were cut at the end of the level",
}
_BOUNDS: Final = ("low", "high")


class Family(NamedTuple):
    """The samples of one name over all levels: suffix, labels, value."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, dict[str, str], float]]

    @property
    def unit(self) -> str:
        return "seconds" if self.name.endswith("_seconds") else ""


def write(run: RunSummary) -> dict[str, bytes]:
    """OpenMetrics 1.0, with the start of the run as the time of each sample where the run tells its zone.

    A distribution is a summary with its quantiles; its sum is left out where some requests never came to an end. An
    interval is a gauge of the same labels with `bound`, so that what is not sure is not shown as if it were.
    """
    when = _unix_s(run.run.started)
    lines = [line for family in _families(run) for line in _text(family, when)]
    return {FILE: "".join(f"{line}\n" for line in (*lines, "# EOF")).encode()}


def _unix_s(started: str | None) -> float | None:
    try:
        found = datetime.datetime.fromisoformat(started or "")
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def _families(run: RunSummary) -> Iterator[Family]:
    labelled = [(level, _labels(run, level)) for level in run.levels]
    for name, rate in RATES.items():
        found = [(labels, rate.of(level)) for level, labels in labelled]
        values = [("", labels, one.value) for labels, one in found if one.value is not None]
        yield Family(f"breakeven_{name}", "gauge", rate.formula, values)
        bounds = [sample for labels, one in found for sample in _bounds(labels, one.ci95)]
        yield Family(f"breakeven_{name}_ci95", "gauge", f"95 % interval: {rate.formula}", bounds)
    for name, metric in METRICS.items():
        yield from _distribution(name, metric, [(labels, level.of(name)) for level, labels in labelled])
    for name, meaning in _COUNTS.items():
        counts = [("", labels, float(getattr(level, name))) for level, labels in labelled]
        yield Family(f"breakeven_{name}", "gauge", meaning, counts)
    yield from _extra(labelled)


def _labels(run: RunSummary, level: LevelSummary) -> dict[str, str]:
    """What tells one series from another; what is not known is no label."""
    facts = run.run
    told = {
        "run": facts.id,
        "model": facts.model,
        "engine": facts.engine.get("name"),
        "gpu": facts.host.get("gpu"),
        "gpus": facts.host.get("gpu_count"),
        "users": level.users,
        "req_per_s_offered": level.req_per_s_offered,
        "repeat": level.repeat,
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def _bounds(
    labels: dict[str, str], ends: tuple[float | None, float | None]
) -> Iterator[tuple[str, dict[str, str], float]]:
    for bound, end in zip(_BOUNDS, ends, strict=True):
        if end is not None:
            yield "", labels | {"bound": bound}, end


def _distribution(name: str, metric: Metric, found: list[tuple[dict[str, str], Distribution]]) -> Iterator[Family]:
    stem, unit = (name.removesuffix("_s"), "_seconds") if metric.unit == "s" else (name, "")
    values: list[tuple[str, dict[str, str], float]] = []
    bounds: list[tuple[str, dict[str, str], float]] = []
    for labels, of in found:
        if not of.n and of.p50.value is None and of.mean is None:
            continue
        for which, q in QUANTILES.items():
            at, quantile = of.at(which), labels | {"quantile": str(q)}
            values += [("", quantile, at.value)] if at.value is not None else []
            bounds += _bounds(quantile, at.ci95)
        values.append(("_count", labels, float(of.n)))
        values += [("_sum", labels, of.mean * of.n)] if of.mean is not None and not of.censored else []
    yield Family(f"breakeven_{stem}{unit}", "summary", metric.formula, values)
    yield Family(f"breakeven_{stem}_ci95{unit}", "gauge", f"95 % interval: {metric.formula}", bounds)


def _extra(labelled: list[tuple[LevelSummary, dict[str, str]]]) -> Iterator[Family]:
    """Numbers that the level holds besides, their units in their names: energy, goodput, what the engine told."""
    names = dict.fromkeys(name for level, _ in labelled for name in level.extra)
    taken = {*RATES, *METRICS, *_COUNTS}
    for name in names:
        found = [(labels, level.extra.get(name)) for level, labels in labelled]
        numbers = [
            ("", labels, float(one))
            for labels, one in found
            if isinstance(one, int | float) and not isinstance(one, bool)
        ]
        if name not in taken and re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield Family(f"breakeven_{name}", "gauge", name.replace("_", " "), numbers)


def _text(family: Family, when: float | None) -> Iterator[str]:
    if not family.samples:
        return
    yield f"# TYPE {family.name} {family.kind}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escaped(family.help)}"
    for suffix, labels, value in family.samples:
        told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{suffix}{{{told}}} {value!r}" + ("" if when is None else f" {when!r}")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
