"""Each run as the findings have it: its levels, cautions, machine, engine and how to repeat it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from breakeven.compare.types import OperatingPoint
from breakeven.cost.model import figure
from breakeven.findings import names
from breakeven.findings.measured import power_w
from breakeven.findings.pooled import REPEATS
from breakeven.findings.ranking import side_of
from breakeven.findings.repeat import run_command
from breakeven.findings.series import LevelSeries
from breakeven.findings.types import Interactivity, Level, Money, Place, Subject
from breakeven.metrics.alike import alike
from breakeven.metrics.bracket import Bracket
from breakeven.metrics.definitions import output_tok_per_s_per_user
from breakeven.metrics.summary import Estimate, LevelSummary, RunSummary


def subjects_of(
    runs: Sequence[RunSummary],
    *,
    points: Sequence[OperatingPoint | None],
    series: Sequence[Sequence[LevelSeries]],
    money: Sequence[Money],
    interactivity: Interactivity,
) -> tuple[Subject, ...]:
    """One subject a run, in the order given; A is the reference."""
    labels = names.labels([run.run for run in runs])
    found = [
        Subject(
            letter=letter(index),
            id=run.run.id,
            label=labels[index],
            hardware=names.hardware(run.run.host),
            engine=names.served_by(run.run),
            model=run.run.model,
            mark=names.mark(run.run),
            started=run.run.started,
            unit=names.unit(run.run),
            gpu_count=names.gpu_count(run.run.host),
            levels=tuple(
                _level(level, run, cost=hour_usd_per_card(index, money), interactivity=interactivity)
                for level in run.levels
            ),
            series=_first_of_each(series[index]) if index < len(series) else (),
            cautions=tuple(places(run.levels)),
            capacity=points[index],
            machine=_flat(run.run.host),
            engine_facts=_flat(run.run.engine),
            workload=_flat(run.run.workload),
            commands=tuple(filter(None, [run_command(run.run)])),
            notes=_notes(run),
            limits=next((str(level.extra.get("slo")) for level in run.levels if "verdict" in level.extra), None),
            found=found_of(run),
        )
        for index, run in enumerate(runs)
    ]
    return _with_front(found)


def _first_of_each(series: Sequence[LevelSeries]) -> tuple[LevelSeries, ...]:
    """The first repeat of each load: lines of several would hide one another."""
    first: dict[tuple[int | None, float | None], LevelSeries] = {}
    for one in series:
        first.setdefault((one.users, one.req_per_s_offered), one)
    return tuple(first.values())


def letter(index: int) -> str:
    """A, B, … Z, AA, AB …"""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def interactivity_of(runs: Sequence[RunSummary]) -> Interactivity:
    """1 / TPOT where every run has it, else throughput / users, so that one chart shows one thing."""
    with_speed = [any(level.of("tok_per_s_per_user").p50.value for level in run.levels) for run in runs]
    return "tpot" if all(with_speed) else "load"


def hour_usd_per_card(index: int, money: Sequence[Money]) -> tuple[float, float] | None:
    """What a serving hour of one card costs, and the load factor; None without prices."""
    number, name = side_of(index, money)
    if number is None or name is None:
        return None
    report = money[number].report
    side = report.candidate if name == "candidate" else report.reference
    hour = None if side is None else side.figures["serving_usd_per_h"].value
    return None if side is None or hour is None else (hour / side.count, side.inputs.get("load_factor", 1.0))


def _level(
    level: LevelSummary, run: RunSummary, *, cost: tuple[float, float] | None, interactivity: Interactivity
) -> Level:
    cards = names.gpu_count(run.run.host)
    value = level.output_tok_per_s.value
    low, high = (None if end is None else end / cards for end in level.output_tok_per_s.ci95)
    each = None if value is None else value / cards
    watts = power_w(level.extra)
    return Level(
        load=names.load(level),
        summary=level,
        repeats=level.extra.get(REPEATS, 1),
        tok_per_s_per_gpu=Estimate(value=each, ci95=(low, high)),
        power_w=None if watts is None else watts[0],
        tok_per_j=None if watts is None or value is None else value / watts[0],
        tok_per_s_per_user=_speed(level, interactivity),
        usd_per_mtok=None if cost is None or each is None else _usd_per_mtok(each, *cost),
    )


def _usd_per_mtok(tok_per_s: float, usd_per_h: float, load_factor: float) -> float | None:
    """Of the output of one card."""
    return figure(
        "usd_per_mtok_output", serving_usd_per_h=usd_per_h, count=1.0, tok_per_s=tok_per_s, load_factor=load_factor
    )


def _speed(level: LevelSummary, interactivity: Interactivity) -> float | None:
    if interactivity == "tpot":
        return level.of("tok_per_s_per_user").p50.value
    return output_tok_per_s_per_user(level).value


def _with_front(subjects: Sequence[Subject]) -> tuple[Subject, ...]:
    """Mark the Pareto front over all runs: nothing gives more per GPU and more per user."""
    points = [
        (level.tok_per_s_per_gpu.value, level.tok_per_s_per_user) for subject in subjects for level in subject.levels
    ]
    known = [(a, b) for a, b in points if a is not None and b is not None]

    def front(level: Level) -> bool:
        a, b = level.tok_per_s_per_gpu.value, level.tok_per_s_per_user
        if a is None or b is None:
            return False
        return not any(x >= a and y >= b and (x > a or y > b) for x, y in known)

    return tuple(
        msgspec.structs.replace(
            subject,
            levels=tuple(msgspec.structs.replace(level, on_front=front(level)) for level in subject.levels),
        )
        for subject in subjects
    )


def places(levels: Sequence[LevelSummary]) -> list[Place]:
    """Every kind of caution once, in the words of the highest load that has it, with all the loads that do."""
    return [Place(levels=one.where(levels), caution=one.caution) for one in alike(levels)]


def _notes(run: RunSummary) -> tuple[str, ...]:
    settings: dict[str, Any] = run.run.settings
    imported = settings.get("imported")
    listed = [*(settings.get("notes") or ()), *((imported or {}).get("notes") or ())]
    source = settings.get("source")
    return tuple(str(note) for note in ([f"source: {source}"] if source else []) + listed)


def found_of(run: RunSummary) -> Bracket | None:
    """What a search found, as stored; None where there was none, or where what is stored is none of ours."""
    try:
        return msgspec.convert(run.run.settings.get("found"), Bracket | None)
    except msgspec.ValidationError:
        return None


def _flat(facts: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts as one table; lists of words as a command line."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= _flat(value, f"{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                found |= _flat(item, f"{key}[{index}].") if isinstance(item, dict) else {f"{key}[{index}]": item}
        elif value not in (None, "", [], ()):
            found[key] = value
    return found
