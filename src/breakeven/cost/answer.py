"""What a scenario comes to: which way is cheaper or pays back when, how sure that is, and what it hangs on most."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from msgspec.structs import replace

from breakeven.cost.inputs import Scenario
from breakeven.cost.limits import limits
from breakeven.cost.model import SAME, Worked, question_of, replaced, work_out
from breakeven.cost.primitives import Array
from breakeven.cost.result import Answer, AnswerKind, CostReport, Lever, Note, Option, Side

OPEN: Final = Answer(kind="open", question="own budgets")
MORE: Final = 1.1
"""How much more of an input without a range is tried."""

_PATHS: Final = {"return": "ratio", "pays back": "candidate.break_even_h"}
_SURE: Final = {
    "return": "candidate_parity_rent_below_reference_rent",
    "pays back": "candidate_npv_below_0",
}


def answered(report: CostReport, scenario: Scenario, own: Mapping[str, Array], *, warnings: int) -> CostReport:
    """The report with its answer."""
    options = tuple(sorted(_options(report), key=lambda option: option.usd_per_mtok))
    kind = _kind(report, options)
    found = Answer(
        kind=kind,
        question=question_of(scenario),
        options=options if kind == "tokens" else (),
        sure=_sure(report, kind, options),
        lever=_lever(report, scenario, own, kind, options),
        warnings=warnings,
    )
    return replace(report, answer=found)


def _kind(report: CostReport, options: tuple[Option, ...]) -> AnswerKind:
    if len(options) > 1:
        return "tokens"
    ratio, days = report.comparison.get("ratio"), report.candidate.figures.get("break_even_h")
    if ratio is not None and not ratio.is_missing:
        return "return"
    if days is not None and not days.is_missing:
        return "pays back"
    return "tokens" if options else "open"


def _sure(report: CostReport, kind: AnswerKind, options: tuple[Option, ...]) -> tuple[str, float] | None:
    """What the draws say of the answer; None without draws, or where none of them varies it."""
    drawn = report.uncertainty
    if drawn is None:
        return None
    if kind == "tokens":
        return ("cheapest", drawn.cheapest[options[0].path]) if len(options) > 1 and drawn.cheapest else None
    p = drawn.probabilities.get(_SURE.get(kind, ""))
    return None if p is None else (_SURE[kind], p)


def _options(report: CostReport) -> Iterator[Option]:
    for name, side in (("reference", report.reference), ("candidate", report.candidate)):
        if side is not None:
            yield from _of_side(name, side)
    api = report.candidate.figures.get("api_usd_per_mtok_all_on_output")
    if api is not None and api.value is not None:
        yield Option(side="api", how="API", path=f"candidate.{api.name}", usd_per_mtok=api.value)


def _of_side(name: str, side: Side) -> Iterator[Option]:
    """Owned, or rented: around the clock, and where it is not busy all the time for the hours used as well."""
    clock, hours = (side.figures.get(f"usd_per_mtok_output{end}") for end in ("", "_hours_used"))
    if clock is None or clock.value is None:
        return
    idles = side.inputs.get("load_factor", 1.0) < 1
    how = "owned" if side.pays == "purchase" else "rented around the clock" if idles else "rented"
    yield Option(side=name, how=how, path=f"{name}.{clock.name}", usd_per_mtok=clock.value)  # type: ignore[arg-type]
    if idles and hours is not None and hours.value is not None:
        yield Option(side=name, how="rented for the hours used", path=f"{name}.{hours.name}", usd_per_mtok=hours.value)  # type: ignore[arg-type]


def _path_of(options: tuple[Option, ...]) -> str:
    """The figure that the cheapest way is told by: against the other side where just the two are looked at."""
    if len(options) == 2 and "api" not in {one.side for one in options}:
        return "usd_per_mtok_ratio"
    return options[0].path if options else "candidate.usd_per_mtok_output"


def _lever(
    report: CostReport, scenario: Scenario, own: Mapping[str, Array], kind: AnswerKind, options: tuple[Option, ...]
) -> Lever | None:
    """Of the ranges the one with the longest bar; without ranges the input of which a tenth more moves it most."""
    if report.tornado is not None and report.tornado.swings:
        longest = report.tornado.swings[0]
        ends = (longest.at_p10, longest.at_p90)
        return Lever(place=longest.place, is_ranged=True, path=report.tornado.target, ends=ends)
    path = _PATHS.get(kind) or _path_of(options)
    middle = work_out(scenario, own).first(path)
    if middle is None or middle <= 0:
        return None
    moved = {place: _moved(scenario, own, place, path) for place in own if _may_rise(own, place)}
    known = [
        (abs(math.log(value / middle)), place) for place, value in moved.items() if value is not None and value > 0
    ]
    if not known or max(known)[0] == 0:
        return None
    place = max(known)[1]
    return Lever(place=place, is_ranged=False, path=path, ends=(middle, moved[place]))


def _may_rise(own: Mapping[str, Array], place: str) -> bool:
    return 0 < float(own[place][0]) <= limits(place)[1] / MORE


def _moved(scenario: Scenario, own: Mapping[str, Array], place: str, path: str) -> float | None:
    changed = replaced(own, {place: own[place] * MORE})
    return work_out(scenario, changed, wanted={path.rpartition(".")[2]}).first(path)


def own_notes(scenario: Scenario, worked: Worked) -> Iterator[Note]:
    """What in the scenario itself a reader must know: sets that do not do the same work, rents of unlike kinds."""
    if worked.reference is None or scenario.reference is None:
        return
    k, k_tokens = worked.first("k"), worked.first("k_tokens")
    if k is not None and k_tokens is not None and not np.isclose(k, k_tokens, rtol=SAME):
        yield Note(kind="other_work", facts={"k": k, "k_tokens": k_tokens})
    kinds = [side.rent_kind for side in (scenario.reference, scenario.candidate) if side.rent_usd_per_h is not None]
    if len(kinds) == 2 and None not in kinds and kinds[0] != kinds[1]:
        yield Note(kind="other_kinds", facts={"reference": kinds[0], "candidate": kinds[1]})
