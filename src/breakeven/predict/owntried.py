"""Whether predictions hold for runs of the user's own: each level by a fit that had not seen it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from breakeven.metrics.summary import RunSummary
from breakeven.predict.calibrations import Figure, choose
from breakeven.predict.closed import Closed, predict_closed
from breakeven.predict.fit import Seen
from breakeven.predict.machine import fit_machine
from breakeven.predict.own import levels, own
from breakeven.predict.roofline import known_parts
from breakeven.predict.told import FIGURES, TIER_SAYS

LEAST: Final = 3
"""Numbers of users of a run on a machine that no table knows: two are fitted, the rest predicted."""
TEN: Final = 10


class OwnFigure(Struct, frozen=True, kw_only=True):
    """A figure of one level."""

    measured: float
    predicted: float
    inside: bool | None
    """In the 90 % interval; None where there is none."""


class OwnLevel(Struct, frozen=True, kw_only=True):
    """One level of a run."""

    run_id: str
    by: str
    """What it was predicted from."""
    users: int
    figures: dict[str, OwnFigure]


def own_tried(runs: Sequence[RunSummary]) -> tuple[OwnLevel, ...]:
    """Each run of a known card by the shipped table and the other runs; of another machine, by two of its levels."""
    found: list[OwnLevel] = []
    for run in runs:
        others = [one for one in runs if one is not run]
        found += _of_card(run, others) if known_parts(run.run) else _of_machine(run)
    return tuple(found)


def _of_card(run: RunSummary, others: Sequence[RunSummary]) -> Iterator[OwnLevel]:
    parts = known_parts(run.run)
    assert parts is not None
    model, gpu, cards = parts
    chosen = choose(model, gpu, engine=str(run.run.engine.get("name") or ""), own=own(others))
    by = f"{chosen.calibration.points} measurements of {TIER_SAYS[chosen.tier]}"
    for seen in levels(run):
        closed = predict_closed(
            model,
            gpu,
            chosen.efficiency,
            chosen.waiting,
            tp=cards,
            users=seen.users,
            input_tokens=seen.input_tokens,
            output_tokens=seen.output_tokens,
        )
        if closed is not None:
            widths = {name: chosen.factor(name, bound=closed.bound, users=seen.users) for name in FIGURES}
            yield _level(run, by, seen, closed, widths)


def _of_machine(run: RunSummary) -> Iterator[OwnLevel]:
    seen = levels(run)
    users = sorted({one.users for one in seen})
    if len(users) < LEAST:
        return
    fitted_on = {users[0], min(users[1:], key=lambda count: abs(count - TEN))}
    found = fit_machine([one for one in seen if one.users in fitted_on])
    by = f"its levels of {' and '.join(map(str, sorted(fitted_on)))} users"
    for one in (one for one in seen if one.users not in fitted_on):
        lengths = (one.input_tokens, one.output_tokens)
        closed = found.of(users=one.users, input_tokens=lengths[0], output_tokens=lengths[1])
        widths = {
            name: found.factor(name, users=one.users, input_tokens=lengths[0], output_tokens=lengths[1])
            for name in FIGURES
        }
        yield _level(run, by, one, closed, widths)


def _level(run: RunSummary, by: str, seen: Seen, closed: Closed, widths: Mapping[Figure, float | None]) -> OwnLevel:
    figures: dict[str, OwnFigure] = {}
    for name in FIGURES:
        measured, predicted = getattr(seen, name), getattr(closed, name)
        if measured:
            width = widths[name]
            inside = None if width is None else abs(math.log(measured / predicted)) <= math.log(width)
            figures[name] = OwnFigure(measured=measured, predicted=predicted, inside=inside)
    return OwnLevel(run_id=run.run.id, by=by, users=seen.users, figures=figures)
