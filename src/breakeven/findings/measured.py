"""What runs measured, put into a scenario: k, throughput and power at one operating point, per card."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from breakeven.compare.types import Equivalence, OperatingPoint
from breakeven.cost.inputs import Input, Scenario, Spread
from breakeven.cost.result import Note
from breakeven.cost.scenario import with_numbers
from breakeven.cost.uncertain import mapped, nominal
from breakeven.findings.level import INPUT_RATE
from breakeven.findings.names import card, gpu_count, labels, mark, unit
from breakeven.metrics.summary import Estimate, RunFacts

POWER: Final = {
    "gpu_board_power_mean_w": "measured: NVML over the steady window, GPU board",
    "gpu_board_power_w": "as the data set has it, GPU board",
    "declared_w": "declared with the run",
    "cpu_package_power_mean_w": "measured: RAPL over the steady window, CPU package",
}
"""Names that a level's power goes by, of the whole machine, best first, and where it comes from."""

DIFFERENT: Final = 0.01
"""Two ways to the same throughput that differ by more than this share are worth a note."""


class Measured(Struct, frozen=True, kw_only=True):
    """One run at the operating point."""

    index: int
    run: RunFacts
    point: OperatingPoint

    @property
    def tok_per_s(self) -> Estimate:
        """Of one card."""
        return per_card(self.point.output_tok_per_s, gpu_count(self.run.host))


def power_w(facts: Mapping[str, Any]) -> tuple[float, str] | None:
    """Power of the machine among a level's further facts, and where it comes from."""
    for name, source in POWER.items():
        value = facts.get(name)
        if isinstance(value, int | float) and value > 0:
            return float(value), source
    return None


def per_card(machine: Estimate, cards: int) -> Estimate:
    """A machine's rate as that of one of its cards."""
    low, high = (None if end is None else end / cards for end in machine.ci95)
    return Estimate(value=None if machine.value is None else machine.value / cards, ci95=(low, high))


def k_per_card(k: Equivalence | None, reference: RunFacts, candidate: RunFacts) -> Estimate:
    """k counts machines; a card of each is a machine / its cards."""
    if k is None or k.value is None:
        return Estimate()
    share = gpu_count(candidate.host) / gpu_count(reference.host)
    low, high = (None if end is None else end * share for end in k.ci95)
    return Estimate(value=k.value * share, ci95=(low, high))


def with_run(scenario: Scenario, side: str, measured: Measured) -> tuple[Scenario, tuple[Note, ...]]:
    """The scenario with one side's numbers from its run, and a note of each thing taken."""
    cards, extra = gpu_count(measured.run.host), measured.point.extra
    found: dict[str, Input | str | None] = {}
    speed = as_input(measured.tok_per_s)
    if speed is not None:
        rate = extra.get(INPUT_RATE)
        found |= {"tok_per_s": speed, "tok_per_s_from": f"measured: {measured.run.id}"}
        found |= {"input_tok_per_s": None if rate is None else rate / cards, "good_tok_per_s": None}
    watts = power_w(extra)
    if watts is None:
        note = Note(kind="power_declared", facts={"side": side})
    else:
        found |= {"power_load_w": watts[0] / cards, "power_from": watts[1]}
        note = Note(kind="power_measured", facts={"side": side, "watts": watts[0] / cards, "source": watts[1]})
    found["gpu"] = card(measured.run.host)
    numbers: dict[str, Any] = {f"{side}.{name}": value for name, value in found.items()}
    counted = "words" if unit(measured.run) == "words" else "tokens"
    declared = getattr(scenario, side).power_load_w
    notes = () if watts is None and declared is None else (note,)
    return with_numbers(scenario, numbers | {"tokens.counted": counted}), notes


def told_apart(scenario: Scenario, reference: Measured | None, candidate: Measured | None) -> Scenario:
    """The scenario with names for two runs of one card, by what differs: engine, version, model, run.

    A side whose run was predicted says so in its name.
    """
    a, b = scenario.reference, scenario.candidate
    if reference is not None and candidate is not None and a is not None and a.name == b.name:
        names = zip(("reference", "candidate"), labels([reference.run, candidate.run]), strict=True)
        return with_numbers(scenario, {f"{side}.label": name for side, name in names})
    sides = (("reference", a, reference), ("candidate", b, candidate))
    marked = {
        f"{name}.label": f"{side.name}, {mark(one.run)}"
        for name, side, one in sides
        if side is not None and one is not None and mark(one.run)
    }
    return with_numbers(scenario, marked)


def with_k(
    scenario: Scenario, cards: Estimate, *, at: str, reference: Measured, candidate: Measured
) -> tuple[Scenario, tuple[Note, ...]]:
    """The scenario whose candidate's cards do the work of the reference's: k times as many.

    The candidate's throughput then follows from the equal work, so that one uncertainty is not drawn twice. Without k
    the cards stay, and both throughputs count.
    """
    k = as_input(cards)
    one_card = Note(kind="one_card")
    if k is None:
        return scenario, (Note(kind="k_undefined", facts={"at": at}), one_card)
    count = nominal(scenario.reference.count) if scenario.reference is not None else 1.0
    changed = with_numbers(
        scenario,
        {
            "candidate.count": mapped(k, lambda number: number * count),
            **{f"candidate.{name}": None for name in ("tok_per_s", "input_tok_per_s", "good_tok_per_s")},
        },
    )
    source = f"measured: {reference.run.id}, {candidate.run.id}"
    note = Note(kind="k_measured", facts={"k": nominal(k), "at": at, "source": source})
    return changed, (note, *_disagreement(nominal(k), reference, candidate), one_card)


def _disagreement(k: float, reference: Measured, candidate: Measured) -> Iterator[Note]:
    a, b = reference.tok_per_s.value, candidate.tok_per_s.value
    if a is not None and b is not None and abs(a / b / k - 1) > DIFFERENT:
        yield Note(kind="operating_points", facts={"ratio": a / b, "k": k})


def as_input(estimate: Estimate) -> Input | None:
    """An estimate as an input: with its interval where that has two ends above 0, else a number; None without one."""
    value, (low, high) = estimate.value, estimate.ci95
    if value is None:
        return None
    if low is None or high is None or not 0 < low <= value <= high or low == high:
        return value
    return Spread(value=value, ci95=(low, high))
