"""Writes a level as an llm-d Benchmark Report of version 0.2, for the dashboards that read these."""

import hashlib
import itertools
import json
import uuid
from typing import Any, Final

from breakeven import __version__
from breakeven.exchange.document import divided
from breakeven.exchange.exported import known, level_files, level_name
from breakeven.exchange.llmd import LATENCIES, OURS, RATE_FIELDS, STATISTICS, VERSION
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, RunSummary

_SOURCES: Final = {"fixed": "random", "lengths": "random", "dataset": "sampled", "trace": "sampled"}
"""Our workload -> where the report's tokens come from."""
_DESCRIPTION: Final = (
    "Measured in the steady window: throughput counts tokens that arrived in it, TTFT and request latency from when a "
    "request was due to the first and the last chunk with text. requests.total is answers that ended in the window, "
    "failures and what was cut of the whole level. A latency of which some requests never came has no mean, and stands "
    "under results.observability.breakeven."
)


def write(run: RunSummary) -> dict[str, bytes]:
    """One report a level, as each describes one stage: name -> JSON. Figures that are None are left out."""
    stages = itertools.count()
    return level_files(run, "llmd-report", lambda level: _report(run, level, stage=next(stages)))


def _report(run: RunSummary, level: LevelSummary, *, stage: int) -> dict[str, Any]:
    latency, without_mean = _latencies(level)
    rates = {theirs: _rate(getattr(level, ours), unit) for ours, (theirs, unit) in RATE_FIELDS.items()}
    aggregate = {"requests": _requests(level), "latency": latency, "throughput": known(rates)}
    return {
        "version": VERSION,
        "run": {
            "uid": _uid(run.run.id, level_name(level)),
            "eid": _uid(run.run.id),
            "time": known({"start": run.run.started, "duration": _duration(level)}),
            "description": f"{run.run.id}: {level_name(level)}. {_DESCRIPTION}",
            "keywords": [OURS],
        },
        "scenario": {"stack": [_component(run)], "load": _load(run, level, stage=stage)},
        "results": {
            "request_performance": {"aggregate": aggregate},
            **({"observability": {OURS: without_mean}} if without_mean else {}),
        },
    }


def _uid(*names: str) -> str:
    """The same for the same level, so that a report written twice is one report."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((OURS, *names))))


def _duration(level: LevelSummary) -> str | None:
    return None if level.window_s is None else f"PT{level.window_s:f}S"


def _requests(level: LevelSummary) -> dict[str, int]:
    total = level.requests + level.errors + level.cut
    return {"total": total, "failures": level.errors, "incomplete": level.cut}


def _rate(estimate: Estimate, unit: str) -> dict[str, Any] | None:
    return None if estimate.value is None else {"units": unit, "mean": estimate.value}


def _latencies(level: LevelSummary) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those that have a mean, as the schema asks of each, and those that have none."""
    found = {theirs: _statistics(level.of(ours), unit) for ours, (theirs, unit) in LATENCIES.items()}
    known = {name: block for name, block in found.items() if len(block) > 1}
    return (
        {name: block for name, block in known.items() if "mean" in block},
        {name: block for name, block in known.items() if "mean" not in block},
    )


def _statistics(of: Distribution, unit: str) -> dict[str, Any]:
    return known({"units": unit} | {name: of.at(name).value for name in STATISTICS})


def _component(run: RunSummary) -> dict[str, Any]:
    """The engine; `generic` where its GPUs or their parallelism are not known, for `inference_engine` asks for both."""
    about, host = run.run.engine, run.run.host
    argv = [str(word) for word in about.get("argv") or ()]
    component: dict[str, Any] = {
        "kind": "generic",
        "tool": str(about.get("name") or "unknown"),
        "tool_version": str(about.get("version") or "unknown"),
        "model": {"name": run.run.model or "unknown"},
    }
    gpu = host.get("gpu_name") or host.get("gpu")
    if gpu:
        count = int(host.get("gpu_count") or 1)
        settings = about.get("settings") or {}
        replicas = int(settings.get("replicas") or 1)
        split = 1 if count == replicas else settings.get("tensor_parallel")
        accelerator = {"model": str(gpu), "count": count // replicas} | (
            {"parallelism": {"tp": split}} if split else {}
        )
        component |= {"replicas": replicas, "role": "replica", "accelerator": accelerator}
        component["kind"] = "inference_engine" if split else "generic"
    native = {"args": {"argv": argv}} if argv else {}
    hashed = hashlib.sha256(json.dumps([component, native], sort_keys=True).encode()).hexdigest()
    return {"metadata": {"label": "engine", "cfg_id": hashed}, "standardized": component, "native": native}


def _load(run: RunSummary, level: LevelSummary, *, stage: int) -> dict[str, Any]:
    workload = run.run.workload
    prompts = workload.get("input_tokens") or divided(level.input_tokens, level.requests) or 0
    answers = workload.get("output_tokens")
    standard = {
        "tool": OURS,
        "tool_version": __version__,
        "source": _SOURCES.get(str(workload.get("name")), "unknown"),
        "stage": stage,
        "input_seq_len": _length(prompts),
        "output_seq_len": _length(answers),
        "concurrency": level.users,
        "rate_qps": level.req_per_s_offered if level.users is None else None,
    }
    return {
        "metadata": known({"description": workload.get("name")}),
        "standardized": known(standard),
        "native": {"config": {"workload": workload}},
    }


def _length(tokens: object) -> dict[str, Any] | None:
    return {"distribution": "other", "value": tokens} if isinstance(tokens, int | float) else None
