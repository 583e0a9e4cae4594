"""Nosana: a deployment whose definition holds the engine and, beside it, the benchmark."""

import math
from typing import Any, ClassVar, Final

from breakeven.errors import UsageError
from breakeven.fleet.jobs.plan import Nodes
from breakeven.fleet.jobs.script import bash, image, variables
from breakeven.fleet.jobs.task import Task, benchmark_image, known_gpu
from breakeven.fleet.result import MARK
from breakeven.prices.nosana import markets
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
        market = task.nodes.market or (None if task.plan is None else _market(task.nodes))
        if market is None:
            raise UsageError("nosana needs the market of every [[nodes]]: its address")
        repeats = {"strategy": "SIMPLE"} if task.head.cron is None else _scheduled(task.head.cron)
        return {
            "name": task.job,
            "market": market,
            "replicas": 1,
            "timeout": max(math.ceil(task.time_limit_s / _S_PER_MINUTE), _LEAST_MINUTES),
            **repeats,
            "idempotency_key": task.job,
            "autostart": True,
            "job_definition": definition(task),
        }


def _market(nodes: Nodes) -> str:
    """The premium market that lends this card; UsageError where none is known."""
    key = known_gpu(nodes.gpu)
    found = (one for one in markets() if (one.gpu, one.cards) == (key, nodes.gpu_count) and one.address is not None)
    best = min(found, key=lambda one: one.tier != "premium", default=None)
    if best is None or best.address is None:
        raise UsageError(f"no market of nosana lends {nodes.gpu_count} x '{nodes.gpu}'; `breakeven prices` lists them")
    return best.address


def _scheduled(cron: str) -> dict[str, str]:
    return {"strategy": "SCHEDULED", "schedule": " ".join(cron.split())}


def definition(task: Task) -> dict[str, Any]:
    """The job definition: operations that a node runs one by one, or as a group."""
    ops = [_cell(task)] if task.plan is not None else [*([_engine(task)] if task.served else []), _benchmark(task)]
    return {
        "version": "0.1",
        "type": "container",
        "meta": {"trigger": "api"},
        "ops": ops,
    }


def _cell(task: Task) -> dict[str, Any]:
    words = bash(task)
    args = {"image": image(task), "gpu": True, "entrypoint": words[:1], "cmd": words[1:], "env": variables(task)}
    return {"type": "container/run", "id": BENCHMARK, "args": args}


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
