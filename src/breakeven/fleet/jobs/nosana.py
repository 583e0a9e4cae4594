"""Nosana: a deployment whose definition holds the engine and, beside it, the benchmark."""

import math
from typing import Any, ClassVar, Final

from breakeven.errors import UsageError
from breakeven.fleet.jobs.task import Task, benchmark_image
from breakeven.fleet.result import MARK
from breakeven.units import S_PER_H

GROUP: Final = "breakeven"
SERVER: Final = "engine"
BENCHMARK: Final = "benchmark"
RESULT: Final = "result"
_S_PER_MINUTE: Final = S_PER_H / 60
_LEAST_MINUTES: Final = 60
"""What a deployment that is paid by credits takes at least."""
_FLAT: Final = ("users_1_tokens_per_second_mean", "users_1_gpu_wattage_avg", "users_1_gpu_temperature_avg")
"""Keys that Nosana's own benchmark prints, and its aggregates are named by."""


class Nosana:
    """The body of `POST /api/deployments/create`; its `job_definition` is that of the published schema."""

    ending: ClassVar[str] = "json"

    @staticmethod
    def document(task: Task) -> dict[str, Any]:
        """Its name, which is the job's, finds it again; a server that reads `idempotency_key` refuses a second one."""
        if task.plan is not None:
            raise UsageError(
                "nosana keeps no files of a job, so no run folder comes home; render a study --to skypilot"
            )
        if task.nodes.market is None:
            raise UsageError("nosana needs the market of every [[nodes]]: its address")
        repeats = {"strategy": "SIMPLE"} if task.head.cron is None else _scheduled(task.head.cron)
        return {
            "name": task.job,
            "market": task.nodes.market,
            "replicas": 1,
            "timeout": max(math.ceil(task.time_limit_s / _S_PER_MINUTE), _LEAST_MINUTES),
            **repeats,
            "idempotency_key": task.job,
            "autostart": True,
            "job_definition": definition(task),
        }


def _scheduled(cron: str) -> dict[str, str]:
    return {"strategy": "SCHEDULED", "schedule": " ".join(cron.split())}


def definition(task: Task) -> dict[str, Any]:
    """The job definition: operations that a node runs one by one, or as a group."""
    return {
        "version": "0.1",
        "type": "container",
        "meta": {"trigger": "api"},
        "ops": [*([_engine(task)] if task.served is not None else []), _benchmark(task)],
    }


def _engine(task: Task) -> dict[str, Any]:
    served = task.served
    assert served is not None
    args: dict[str, Any] = {"image": served.image, "gpu": True, "cmd": list(served.arguments), "env": served.env}
    if served.entrypoint is not None:
        args["entrypoint"] = [served.entrypoint]
    return {
        "type": "container/run",
        "id": SERVER,
        "args": args,
        "execution": {"group": GROUP, "depends_on": [BENCHMARK], "stop_if_dependent_stops": True},
    }


def _benchmark(task: Task) -> dict[str, Any]:
    words = list(task.words)
    if task.served is not None:
        words = [word.replace("//127.0.0.1:", f"//%%ops.{SERVER}.host%%:") for word in words]
    results: dict[str, Any] = {RESULT: {"regex": f"(?<={MARK} ).*", "logType": ["stdout"]}}
    results |= {name: f'"[^"]*{name}":(-?[\\d.]+)' for name in _FLAT}
    return {
        "type": "container/run",
        "id": BENCHMARK,
        "args": {
            "image": benchmark_image(task),
            "gpu": True,
            "entrypoint": words[:1],
            "cmd": words[1:],
            "env": task.env,
        },
        **({"execution": {"group": GROUP}} if task.served is not None else {}),
        "results": results,
    }
