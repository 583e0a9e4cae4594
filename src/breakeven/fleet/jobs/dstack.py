"""dstack: a task with a price and a time limit, in the engine's own image."""

import math
from typing import Any, ClassVar, Final

from breakeven.fleet.jobs.script import card_and_memory, image, run, setup, variables
from breakeven.fleet.jobs.task import Task
from breakeven.fleet.result import KEY_VARIABLE

_CALLED: Final = {"vast": "vastai", "k8s": "kubernetes"}
"""Clouds that dstack calls otherwise than SkyPilot does."""


class Dstack:
    """`dstack apply -f FILE`."""

    ending: ClassVar[str] = "yaml"

    @staticmethod
    def document(task: Task) -> dict[str, Any]:
        """Keys go in by the names of their variables."""
        keys = (
            *(task.served.secrets if task.served is not None else ()),
            *((KEY_VARIABLE,) if task.plan is None else ()),
        )
        told: dict[str, Any] = {
            "type": "task",
            "name": task.job,
            "image": image(task),
            "env": [*(f"{name}={value}" for name, value in variables(task).items()), *keys],
            "commands": [*setup(task), "\n".join(run(task)) + "\n"],
            "max_duration": f"{math.ceil(task.time_limit_s)}s",
        }
        if task.nodes.gpu is not None:
            card, memory = card_and_memory(task.nodes.gpu)
            gpu = {"name": card, "count": task.nodes.gpu_count, **({"memory": f"{memory}GB"} if memory else {})}
            told["resources"] = {"gpu": gpu, "shm_size": "16GB"}
        if task.nodes.max_usd_per_h is not None:
            told["max_price"] = task.nodes.max_usd_per_h
        if task.nodes.infra:
            told["backends"] = [_CALLED.get(name, name) for name in task.nodes.infra]
        if task.head.cron is not None:
            told["schedule"] = {"cron": " ".join(task.head.cron.split())}
        return told
