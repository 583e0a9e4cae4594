"""Writes a run as OpenMetrics text, which Prometheus and its like take in: every figure of every level in one file."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from breakeven.exchange.exported import COUNTS, began, further, labels
from breakeven.metrics.definitions import METRICS, RATES, Metric
from breakeven.metrics.statistics import QUANTILES
from breakeven.metrics.summary import Distribution, LevelSummary, RunSummary

FILE: Final = "openmetrics.txt"
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
    start = began(run)
    when = None if start is None else start.timestamp()
    lines = [line for family in _families(run) for line in _text(family, when)]
    return {FILE: "".join(f"{line}\n" for line in (*lines, "# EOF")).encode()}


def _families(run: RunSummary) -> Iterator[Family]:
    labelled = [(level, labels(run, level)) for level in run.levels]
    for name, rate in RATES.items():
        found = [(of_level, rate.of(level)) for level, of_level in labelled]
        values = [("", of_level, one.value) for of_level, one in found if one.value is not None]
        yield Family(f"breakeven_{name}", "gauge", rate.formula, values)
        bounds = [sample for of_level, one in found for sample in _bounds(of_level, one.ci95)]
        yield Family(f"breakeven_{name}_ci95", "gauge", f"95 % interval: {rate.formula}", bounds)
    for name, metric in METRICS.items():
        yield from _distribution(name, metric, [(of_level, level.of(name)) for level, of_level in labelled])
    for name, meaning in COUNTS.items():
        counts = [("", of_level, float(getattr(level, name))) for level, of_level in labelled]
        yield Family(f"breakeven_{name}", "gauge", meaning, counts)
    yield from _further(labelled)


def _bounds(
    of_level: dict[str, str], ends: tuple[float | None, float | None]
) -> Iterator[tuple[str, dict[str, str], float]]:
    for bound, end in zip(_BOUNDS, ends, strict=True):
        if end is not None:
            yield "", of_level | {"bound": bound}, end


def _distribution(name: str, metric: Metric, found: list[tuple[dict[str, str], Distribution]]) -> Iterator[Family]:
    stem, unit = (name.removesuffix("_s"), "_seconds") if metric.unit == "s" else (name, "")
    values: list[tuple[str, dict[str, str], float]] = []
    bounds: list[tuple[str, dict[str, str], float]] = []
    for of_level, of in found:
        if not of.n and of.p50.value is None and of.mean is None:
            continue
        for which, q in QUANTILES.items():
            at, quantile = of.at(which), of_level | {"quantile": str(q)}
            values += [("", quantile, at.value)] if at.value is not None else []
            bounds += _bounds(quantile, at.ci95)
        values.append(("_count", of_level, float(of.n)))
        values += [("_sum", of_level, of.mean * of.n)] if of.mean is not None and not of.censored else []
    yield Family(f"breakeven_{stem}{unit}", "summary", metric.formula, values)
    yield Family(f"breakeven_{stem}_ci95{unit}", "gauge", f"95 % interval: {metric.formula}", bounds)


def _further(labelled: list[tuple[LevelSummary, dict[str, str]]]) -> Iterator[Family]:
    found: dict[str, list[tuple[str, dict[str, str], float]]] = {}
    for level, of_level in labelled:
        for one in further(level):
            found.setdefault(one.name, []).append(("", of_level, one.value))
    for name, samples in found.items():
        yield Family(f"breakeven_{name}", "gauge", name.replace("_", " "), samples)


def _text(family: Family, when: float | None) -> Iterator[str]:
    if not family.samples:
        return
    yield f"# TYPE {family.name} {family.kind}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escaped(family.help)}"
    for suffix, told, value in family.samples:
        words = ",".join(f'{name}="{_escaped(text)}"' for name, text in told.items())
        yield f"{family.name}{suffix}{{{words}}} {value!r}" + ("" if when is None else f" {when!r}")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
