"""The summary of a stored run: made again from its records, each time."""

import contextlib
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from breakeven.cautions import judged_level, judged_together
from breakeven.engine.detect import adapter
from breakeven.engine.llamacpp import Llamacpp
from breakeven.errors import BreakevenError
from breakeven.metrics.bracket import bracket, load_of
from breakeven.metrics.machine import declared_energy
from breakeven.metrics.repeats import repeats
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import LevelSummary, RunFacts, RunSummary
from breakeven.metrics.telemetry import with_telemetry
from breakeven.plan import Plan
from breakeven.predict.roofline import with_roofline
from breakeven.record import LevelFacts, Record
from breakeven.store.facts import run_summary
from breakeven.store.folder import RECORDS, SUMMARY, RunFolder
from breakeven.store.log import stored_bytes
from breakeven.store.samples import read_samples


def summarise(folder: RunFolder) -> RunSummary:
    """Read a run folder and derive everything from it; levels in the order measured, those of a search by load.

    A folder without a plan was not measured here: its summary is all that there is.
    """
    if not folder.is_measured:
        return stored_summary(folder)
    host, plan = folder.host(), folder.plan()
    run: dict[str, Any] = host.get("run", {})
    slo = None if plan.slo is None else parse_slo(plan.slo)
    samples = read_samples(folder.path)

    def derived(facts: LevelFacts, records: Sequence[Record]) -> LevelSummary:
        level = judged_level(facts, records, slo=slo)
        return _with_watts(with_telemetry(level, facts=facts, records=records, samples=samples), plan)

    levels = tuple(derived(facts, records) for facts, records in folder.levels())
    levels = judged_together(levels)
    if plan.find_max:
        levels = tuple(sorted(levels, key=lambda level: (load_of(level) or 0.0, level.repeat)))
    settings: dict[str, Any] = run.get("settings", {})
    machine = _host(host.get("host", {}), plan)
    known = RunFacts(id=folder.id, host=machine, engine=host.get("engine", {}), model=run.get("model"))
    levels = tuple(with_roofline(level, known) for level in levels)
    if slo is not None and settings.get("find_max"):
        settings = settings | {"found": to_builtins(bracket(levels, slo=slo, requests=plan.requests))}
    return RunSummary(
        run=RunFacts(
            id=folder.id,
            started=run.get("started"),
            host=machine,
            engine=host.get("engine", {}),
            model=run.get("model"),
            workload=run.get("workload", {}),
            settings=settings,
        ),
        levels=levels,
        repeats=repeats(levels),
    )


def stored_summary(folder: RunFolder) -> RunSummary:
    """What summary.json says; RunFailedError or UsageError in one line where it can be none."""
    path = folder.path / SUMMARY
    return run_summary(stored_bytes(path), where=path)


def fresh_summary(folder: RunFolder) -> RunSummary:
    """The stored summary where it is as new as the records, which is quick; else made again from them."""
    stored, records = folder.path / SUMMARY, folder.path / RECORDS
    with contextlib.suppress(OSError, BreakevenError):
        files = list(records.iterdir())
        newest_s = max((path.stat().st_mtime for path in files), default=0.0)
        if all(path.suffix == ".parquet" for path in files) and stored.stat().st_mtime >= newest_s:
            return stored_summary(folder)
    return summarise(folder)


def _with_watts(level: LevelSummary, plan: Plan) -> LevelSummary:
    """The level with the watts that the user declared for a machine that we cannot see into."""
    hardware = plan.hardware
    if hardware is None or hardware.power_w is None or level.window_s is None:
        return level
    declared = declared_energy(
        declared_w=hardware.power_w,
        source=hardware.power_source or "",
        window_s=level.window_s,
        output_tokens=level.output_tokens,
    )
    return replace(level, extra=level.extra | declared)


def _host(host: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The record of the machine, with `gpu` and `gpu_count` as the plan declares them, or as the driver tells.

    A plan that declares a card and no number of them has as many as its engines take.
    """
    declared: dict[str, Any] = host.get("declared") or {}
    gpus: list[dict[str, Any]] = host.get("gpus") or []
    if declared.get("gpu"):
        started = plan.launch if plan.url is None else None
        taken = 1 if started is None else adapter(plan.engine or Llamacpp.name).gpus_in_all(started.settings)
        return host | {"gpu": declared["gpu"], "gpu_count": max(declared.get("count", 1), taken)}
    return host | {"gpu": gpus[0].get("name"), "gpu_count": len(gpus)} if gpus else host
