"""`breakeven choose`: which card to rent for a model and a load, before anything is rented."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from breakeven.app.level import Level
from breakeven.app.load import load_of
from breakeven.app.predict import Asked, Loads, measured_runs, predicted_curves
from breakeven.app.prices import quotes
from breakeven.app.printed import put_out
from breakeven.app.report import Loaded, findings_of
from breakeven.app.runs import read_text
from breakeven.errors import LimitMissedError, RunFailedError, UsageError
from breakeven.findings.choice import Choice, Left, Looked, ranked, ranked_by
from breakeven.findings.money import Prices
from breakeven.findings.names import card
from breakeven.findings.nearest import nearest_text
from breakeven.findings.offers import stands_for
from breakeven.findings.pricing import most_common_kind
from breakeven.hardware import ModelShape
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary
from breakeven.mix.types import Load, LoadClass
from breakeven.prices import read_quotes
from breakeven.report.choice import choice_text, nothing_text
from breakeven.report.html import to_html

MOST_SHOWN = 8
"""Candidates on a page: as many as have a colour."""
CURVE: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 181, 256, 362, 512, 724, 1024, 2048, 4096)
"""Numbers of users at which a curve is worked out where only its capacity is asked: a step of a half power of two."""


def choose(
    asked: Asked,
    level: Level,
    *,
    users: int | None = None,
    load: Path | None = None,
    prices: Path | None = None,
    json_to: str | None = None,
    html_to: str | None = None,
) -> int:
    """Rank every card that can serve the model, at its own newest price of one kind; 3 where none meets the level.

    RunFailedError where no card holds the model or none of those that do has a price.
    """
    shape, service = asked.shape, level.service("choose")
    wanted = None if users is None and load is None else load_of("choose", users=users, file=load)
    if html_to is not None and wanted is not None and len(wanted.classes) > 1:
        raise UsageError("--html: a page shows requests of one kind; give a load of one class")
    if wanted is not None:
        _check_lengths(asked, wanted)
    own = () if prices is None else read_quotes(read_text(prices), where=str(prices))
    measured = measured_runs(asked, shape)
    looked: list[Looked] = []
    left: dict[str, Left] = {}
    for name, found in _looked(asked, wanted, shape, measured=measured, level=service):
        if isinstance(found, Left):
            left.setdefault(found.gpu, found)
        else:
            looked.append(Looked(name, found))
    kind, unpriced = most_common_kind([one.run.run for one in looked], known := (*quotes(), *own))
    priced, at = (
        [one for one in looked if one.run.run not in unpriced],
        Prices(quotes=tuple(q for q in known if q.kind == kind)),
    )
    candidates, following = ranked(priced, level=service, load=wanted, prices=at)
    for run in unpriced:
        name = card(run.host)
        left.setdefault(name, Left(gpu=name, why="no price", detail="say what it costs by --prices FILE"))
    choice = Choice(
        model=shape.name,
        precision=shape.precision,
        level=service,
        at=service.text(),
        load=wanted,
        input_tokens=asked.requests.told[0],
        output_tokens=asked.requests.told[1],
        ranked_by=ranked_by(wanted),
        candidates=candidates,
        left_out=tuple(left.values()),
        next_run=following,
    )
    if not candidates:
        raise RunFailedError(nothing_text(choice))
    by_id = {one.run.run.id: one.run for one in priced}
    put_out(
        choice_text(choice, asked.engine),
        told=choice,
        json_to=json_to,
        page=lambda: _page([by_id[one.run_id] for one in candidates[:MOST_SHOWN]], level, at),
        html_to=html_to,
    )
    if not any(one.cost(choice.ranked_by).value for one in candidates):
        raise LimitMissedError(nearest_text([one.run for one in looked], service))
    return 0


def _looked(
    asked: Asked, load: Load | None, shape: ModelShape, *, measured: Sequence[RunSummary], level: ServiceLevel
) -> Iterator[tuple[str, RunSummary | Left]]:
    """For each class of the load the runs of its lengths, and a curve of each card that has none."""
    curve = Loads(users=CURVE).checked()
    for one in (LoadClass(),) if load is None else load.classes:
        of = replace(asked, told=tuple(map(_said, (one.input_tokens, one.output_tokens), asked.told)))
        limits = level.slo.limits if level.slo else ()
        if of.requests.output_tokens <= 1 and any(limit.of[0] == "tpot_s" for limit in limits):
            raise UsageError("--slo: answers of one token have no time per token; limit ttft or e2e")
        near = [run for run in measured if stands_for(run, one)]
        yield from ((one.name, run) for run in near)
        for found in predicted_curves(of, shape, curve, measured=measured, but=near, decide=level):
            yield one.name, found


def _check_lengths(asked: Asked, load: Load) -> None:
    """UsageError for a length that no class takes."""
    for name, told in zip(("input_tokens", "output_tokens"), asked.told, strict=True):
        if told is not None and all(getattr(one, name) is not None for one in load.classes):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"choose: {flag} and every class of --load say the length; leave one out")


def _said(tokens: float | None, otherwise: int | str | None) -> int | str | None:
    """Lengths of a class; those of the command line where it does not say."""
    return otherwise if tokens is None else max(1, round(tokens))


def _page(runs: Sequence[RunSummary], level: Level, prices: Prices) -> str:
    """The page of the candidates; the second is the reference, since it is whom the first has to beat."""
    first, *others = runs
    ordered = [*others[:1], first, *others[1:]]
    return to_html(findings_of([Loaded(run) for run in ordered], level=level, prices=prices))
