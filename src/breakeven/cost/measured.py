"""What runs measured, as the economics take it: k, throughput and power at one operating point."""

from msgspec import Struct

from breakeven.cost.inputs import Input, Scenario, Spread
from breakeven.cost.scenario import with_numbers
from breakeven.cost.uncertain import mapped, nominal
from breakeven.metrics.summary import Estimate

DIFFERENT = 0.01
"""Two ways to the same throughput that differ by more than this share are worth a note."""


class MeasuredSide(Struct, frozen=True, kw_only=True):
    """One side at the operating point, per card."""

    tok_per_s: Estimate
    input_tok_per_s: float | None = None
    good_tok_per_s: float | None = None
    power_w: float | None = None
    power_from: str | None = None
    """Such as `NVML energy counter over the steady window, GPU board`."""
    gpu: str | None = None


class MeasuredInputs(Struct, frozen=True, kw_only=True):
    """A comparison of two runs. `k` without a value leaves the scenario's count and takes both throughputs."""

    reference: MeasuredSide
    candidate: MeasuredSide
    k: Estimate
    k_at: str
    """The service level that k belongs to, in words."""
    source: str


def applied(scenario: Scenario, measured: MeasuredInputs) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with measured numbers in place of its own, and a note for each thing taken.

    With k the candidate's count is k times the reference's, and its throughput follows from the equal work, so that
    one uncertainty is not drawn twice.
    """
    numbers: dict[str, Input | str | None] = {}
    notes: list[str] = []
    for side, part in (("reference", measured.reference), ("candidate", measured.candidate)):
        numbers |= _side_numbers(side, part, source=measured.source)
        notes += _side_notes(side, part)
    k = as_input(measured.k)
    if k is None:
        notes.append(f"k is not defined (service level: {measured.k_at}); the cards stay as the scenario has them")
    else:
        cards = nominal(scenario.reference.count) if scenario.reference is not None else 1.0
        numbers |= {"candidate.count": mapped(k, lambda number: number * cards), "candidate.tok_per_s": None}
        notes.append(f"candidate.count is k = {nominal(k):.4g} (service level: {measured.k_at}; {measured.source})")
        notes += _disagreement(nominal(k), measured)
    notes.append(
        "one card measured is one card: for the GPU type give node_sd_log, or --ranges default takes 5 % between cards"
    )
    return with_numbers(scenario, numbers), tuple(notes)


def _side_numbers(side: str, part: MeasuredSide, *, source: str) -> dict[str, Input | str | None]:
    found: dict[str, Input | str | None] = {
        "tok_per_s": as_input(part.tok_per_s),
        "tok_per_s_from": source,
        "input_tok_per_s": part.input_tok_per_s,
        "good_tok_per_s": part.good_tok_per_s,
    }
    if part.power_w is not None:
        found |= {"power_load_w": part.power_w, "power_from": part.power_from or source}
    if part.gpu is not None:
        found["gpu"] = part.gpu
    return {f"{side}.{name}": value for name, value in found.items()}


def _side_notes(side: str, part: MeasuredSide) -> list[str]:
    if part.power_w is None:
        return [f"{side}.power_load_w stays as the scenario declares it: the run measured no power"]
    return [f"{side}.power_load_w is {part.power_w:.4g} W, measured ({part.power_from or 'source not said'})"]


def _disagreement(k: float, measured: MeasuredInputs) -> list[str]:
    a, b = measured.reference.tok_per_s.value, measured.candidate.tok_per_s.value
    if a is None or b is None or abs(a / b / k - 1) <= DIFFERENT:
        return []
    return [f"the throughputs are as {a / b:.3g} to 1, k is {k:.3g}: not one operating point; k is what counts"]


def as_input(estimate: Estimate) -> Input | None:
    """An estimate as an input: with its interval where that has two ends above 0, else a number; None without one."""
    value, (low, high) = estimate.value, estimate.ci95
    if value is None:
        return None
    if low is None or high is None or not 0 < low <= value <= high or low == high:
        return value
    return Spread(value=value, ci95=(low, high))
