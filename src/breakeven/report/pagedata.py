"""The numbers that the page draws and works with, as JSON inside it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from breakeven.cost.figures import ROWS
from breakeven.cost.inputs import Scenario
from breakeven.cost.limits import RULES
from breakeven.cost.sensitivity import TARGETS
from breakeven.cost.words import PLACES, label_text
from breakeven.findings import Findings, Level, LevelSeries, Money, Ranked, Subject
from breakeven.findings.names import load as load_of
from breakeven.metrics.definitions import output_tok_per_s_per_user
from breakeven.metrics.summary import Distribution, Estimate
from breakeven.report.fields import fields, gpus_of
from breakeven.report.formulas import case_rows
from breakeven.report.sentence import answer_parts, sure_text
from breakeven.report.shortnames import marked_names, short_names, sides_of
from breakeven.report.words import counted_as, is_priced, price_kind, speed_axis
from breakeven.say import unit_of
from breakeven.units import load_text

_NO_MEANS: Final[Mapping[str, float | None]] = {}
FAR: Final = 1e12
"""The most that a field takes where nothing else limits it."""


def page_data(found: Findings) -> dict[str, Any]:
    """What page.js reads. Chart numbers have six digits, inputs of the economics all of them."""
    counted = counted_as(found)
    of_users = has_users(found)
    names = zip(found.subjects, short_names(found), marked_names(found), strict=True)
    return {
        "unit": found.unit,
        "counted": counted,
        "floor": found.floor_tok_per_s_per_user if of_users else None,
        "speed": speed_axis(found),
        "speed_mean": f"{found.unit}/s a user on average (throughput / users)" if of_users else speed_axis(found),
        "best": found.best_money or 0,
        "subjects": [
            _subject(subject, of_users=of_users) | {"short": short, "marked": marked}
            for subject, short, marked in names
        ],
        "money": [_money(case, found) for case in found.money],
        "priced": is_priced(found),
        "ranking": [
            {
                "money": row.money,
                "side": row.side,
                "missed": row.run is not None and row.capacity_tok_per_s.value is None,
                "kind": "" if row.price is None else price_kind(row.price),
                "rel": _relative(row.usd_per_mtok),
                "run": row.run,
                "each": _speed_there(row, found),
                "capacity": _six(row.capacity_tok_per_s.value),
            }
            for row in found.ranking
        ],
        "rows": {
            name: {"unit": row.unit, "said": unit_of(row.unit, counted), "never": bool(row.never)}
            for name, row in ROWS.items()
        },
        "places": PLACES,
        "limits": {place: _limits(place) for case in found.money for place in _settable(case)},
    }


def plots_data(plots: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What page.js reads of a page without runs: charts by name, each with its `kind`, a function of charts.js."""
    return {"subjects": [], "money": [], "ranking": [], "priced": False, "plots": plots}


def encode(data: dict[str, Any]) -> str:
    """JSON that cannot end the element that it stands in, whatever text is in it."""
    text = msgspec.json.encode(data).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")


def _speed_there(row: Ranked, found: Findings) -> float | None:
    """tok/s of a user where the run stands in the ranking: throughput of its machine / its users."""
    rate, users = row.capacity_tok_per_s.value, row.users.value
    return None if row.run is None or rate is None or not users else rate * found.subjects[row.run].gpu_count / users


def has_users(found: Findings) -> bool:
    """Some level is of users, not of requests on a schedule: only then is there a mean speed of a user."""
    return any(level.summary.users is not None for subject in found.subjects for level in subject.levels)


def _subject(subject: Subject, *, of_users: bool) -> dict[str, Any]:
    means = {load_of(one.summary): one.summary.output_tok_per_s.value for one in subject.levels}
    return {
        "letter": subject.letter,
        "label": subject.label,
        "predicted": bool(subject.mark),
        "levels": [_level(level, of_users=of_users) for level in subject.levels],
        "series": [series_data(one, means) for one in subject.series],
    }


def _level(level: Level, *, of_users: bool) -> dict[str, Any]:
    summary = level.summary
    low, high = summary.output_tok_per_s.ci95
    return {
        "load": level.load,
        "users": summary.users,
        "rate": summary.req_per_s_offered,
        "y": _six(summary.output_tok_per_s.value),
        "lo": _six(low),
        "hi": _six(high),
        "perGpu": level.tok_per_s_per_gpu.value,
        "perUser": _six(level.tok_per_s_per_user),
        "each": _six(output_tok_per_s_per_user(summary).value if of_users else level.tok_per_s_per_user),
        "ttft": _quantiles(summary.of("ttft_s")),
        "tpot": _quantiles(summary.of("tpot_s")),
        "watts": _six(level.power_w),
        "tokJ": _six(level.tok_per_j),
        "front": level.on_front,
        "cautions": len(summary.cautions),
    }


def _quantiles(of: Distribution) -> list[float | None]:
    return [_six(of.p50.value), _six(of.p95.value), _six(of.p50.ci95[0]), _six(of.p50.ci95[1])]


def series_data(series: LevelSeries, means: Mapping[str, float | None] = _NO_MEANS) -> dict[str, Any]:
    """One line of the chart over time."""
    load = load_text(series.users, series.req_per_s_offered)
    again = f" #{series.repeat + 1}" if series.repeat else ""
    return {
        "load": load + again,
        "start_s": series.start_s,
        "bin_s": _six(series.bin_s),
        "open_s": series.open_s,
        "close_s": series.close_s,
        "end_s": series.end_s,
        "mean": _six(means.get(load)),
        "y": list(series.output_tok_per_s),
    }


def _six(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _relative(cost: Estimate) -> list[float | None]:
    return [None if end is None or not cost.value else end / cost.value for end in cost.ci95]


def _money(case: Money, found: Findings) -> dict[str, Any]:
    report = case.report
    k = report.comparison.get("k")
    target = _target(case)
    return {
        "label": case.label,
        "candidate": case.candidate,
        "reference": case.reference,
        "scenario": case.scenario,
        "inputs": case.inputs,
        "ranges": case.ranges,
        "middles": case.middles,
        **case_rows(msgspec.convert(case.scenario, Scenario)),
        "k_ci95": case.k_ci95,
        "k_scale": 1.0 if k is None or not k.value else _cards(case, found),
        "gpus": {"reference": None, **gpus_of(case)},
        "sides": {"reference": None, **sides_of(case, found)},
        "target": target,
        "answer": [part if isinstance(part, str) else part._asdict() for part in answer_parts(found, case.answer)],
        "sure": sure_text(found, case.answer),
    }


def _cards(case: Money, found: Findings) -> float:
    """The sentence counts machines, the economics count cards."""
    if case.reference is None or case.candidate is None:
        return 1.0
    return found.subjects[case.reference].gpu_count / found.subjects[case.candidate].gpu_count


def _target(case: Money) -> dict[str, str]:
    """What the tornado is about: the library's choice, or the same choice where it had no range to show."""
    path = case.report.tornado.target if case.report.tornado is not None else _default_target(case)
    return {
        "path": path,
        "label": label_text(path, counted=case.report.counted),
        "unit": (unit := ROWS[path.rpartition(".")[2]].unit),
        "said": unit_of(unit, case.report.counted),
    }


def _default_target(case: Money) -> str:
    known = case.report.all_figures()
    paths = ((path, known.get(path if "." in path else f"comparison.{path}")) for path in TARGETS)
    return next(
        (path for path, figure in paths if figure is not None and not figure.is_missing), "candidate.break_even_h"
    )


def _settable(case: Money) -> list[str]:
    asked = [field.place for field in fields(case) if "." in field.place]
    return [*case.inputs, *asked, "candidate.count", "reference.count"]


def _limits(place: str) -> tuple[float, float]:
    rule = RULES[place.partition(".")[2]]
    low, high = rule.limits
    return (low + (1e-9 if rule.above else 0.0), min(high, FAR))
