"""The summary of a stored run: made again from its records, each time."""

from typing import Any

from breakeven.cautions import judged_level
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.store.folder import RunFolder


def summarise(folder: RunFolder) -> RunSummary:
    """Read a run folder and derive everything from it."""
    host = folder.host()
    run: dict[str, Any] = host.get("run", {})
    limits = folder.plan().slo
    slo = None if limits is None else parse_slo(limits)
    return RunSummary(
        run=RunFacts(
            id=folder.id,
            started=run.get("started"),
            host=host.get("host", {}),
            engine=host.get("engine", {}),
            model=run.get("model"),
            workload=run.get("workload", {}),
            settings=run.get("settings", {}),
        ),
        levels=tuple(judged_level(facts, records, slo=slo) for facts, records in folder.levels()),
    )
