"""Sends a run to an MLflow server: one MLflow run with every figure of every level, and the summary as an artifact."""

import os
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.exchange.exported import Measured, began, figures, portions
from breakeven.exchange.imported import safe_url
from breakeven.metrics.summary import LevelSummary, RunSummary

EXPERIMENT: Final = "breakeven"
"""Where MLFLOW_EXPERIMENT_NAME names no other."""
_AT_ONCE: Final = 1000
"""Metrics a request: the most that MLflow takes."""
_LONGEST: Final = 6000
"""Characters of a parameter's value that MLflow takes."""


def send(run: RunSummary, measured: Measured, to: str) -> str:
    """A metric's step is the number of users, in an open loop that of its level; a key goes by MLFLOW_TRACKING_TOKEN.

    `measured` is not sent: MLflow keeps figures, not requests.
    """
    del measured
    client, entities, failed = _mlflow(to)
    try:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = client.get_experiment_by_name(name)
        experiment = client.create_experiment(name) if known is None else known.experiment_id
        started = client.create_run(experiment, run_name=run.run.id, start_time=_ms(run))
        number = started.info.run_id
        client.log_batch(number, params=[entities.Param(key, value) for key, value in _params(run)])
        found = [entities.Metric(*metric) for metric in _metrics(run)]
        for some in portions(found, _AT_ONCE):
            client.log_batch(number, metrics=some)
        client.log_dict(number, msgspec.to_builtins(run), "summary.json")
        client.set_terminated(number)
    except failed as error:
        raise RunFailedError(f"{safe_url(to)} does not take the run: {one_line(str(error), limit=200)}") from None
    return f"sent {len(found)} figures to {safe_url(to)}: experiment {name}, run {number}"


def _mlflow(to: str) -> tuple[Any, Any, type[Exception]]:
    """Its client, its entities and its error. It is told to try once, and to tell nobody that it is used."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient, entities
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UsageError("--as mlflow needs MLflow's client: pip install 'breakeven[mlflow]'") from None
    return MlflowClient(tracking_uri=to), entities, MlflowException


def _ms(run: RunSummary) -> int | None:
    start = began(run)
    return None if start is None else round(start.timestamp() * 1000)


def _params(run: RunSummary) -> Iterator[tuple[str, str]]:
    facts = run.run
    told = {
        "model": facts.model,
        "engine": facts.engine.get("name"),
        "engine_version": facts.engine.get("version"),
        "gpu": facts.host.get("gpu"),
        "gpus": facts.host.get("gpu_count"),
        "kind": facts.kind,
    } | {f"workload_{name}": value for name, value in facts.workload.items() if isinstance(value, str | int | float)}
    for name, value in told.items():
        if value is not None:
            yield name, one_line(str(value), limit=_LONGEST)


def _metrics(run: RunSummary) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time and step."""
    at_ms = _ms(run) or 0
    for number, level in enumerate(run.levels, 1):
        step = level.users if level.users is not None else number
        for name, value in _figures(level):
            yield name, value, at_ms, step


def _figures(level: LevelSummary) -> Iterator[tuple[str, float]]:
    for one in figures(level):
        yield from one.numbers()
    if level.req_per_s_offered is not None:
        yield "req_per_s_offered", level.req_per_s_offered
