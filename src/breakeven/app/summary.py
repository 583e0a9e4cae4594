"""The summary of a stored run: made again from its records, each time."""

from typing import Any

from msgspec import to_builtins

from breakeven.cautions import judged_level
from breakeven.metrics.bracket import bracket
from breakeven.metrics.repeats import repeats
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.store.folder import RunFolder


def summarise(folder: RunFolder) -> RunSummary:
    """Read a run folder and derive everything from it."""
    host = folder.host()
    run: dict[str, Any] = host.get("run", {})
    limits = folder.plan().slo
    slo = None if limits is None else parse_slo(limits)
    levels = tuple(judged_level(facts, records, slo=slo) for facts, records in folder.levels())
    settings: dict[str, Any] = run.get("settings", {})
    if slo is not None and settings.get("find_max"):
        settings = settings | {"found": to_builtins(bracket(levels, slo=slo))}
    return RunSummary(
        run=RunFacts(
            id=folder.id,
            started=run.get("started"),
            host=host.get("host", {}),
            engine=host.get("engine", {}),
            model=run.get("model"),
            workload=run.get("workload", {}),
            settings=settings,
        ),
        levels=levels,
        repeats=repeats(levels),
    )
