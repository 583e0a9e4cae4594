"""SkyPilot: a task on a rented machine, in the engine's own image."""

from typing import Any, ClassVar, Final

from breakeven.errors import UsageError
from breakeven.fleet.jobs.script import card_and_memory, image, run, setup, variables
from breakeven.fleet.jobs.task import Task
from breakeven.fleet.result import KEY_VARIABLE

_IDLE_MINUTES: Final = 10
_IDLE_MINUTES_OF_A_CELL: Final = 60
"""Its run folder lies on the machine until it is collected."""


class SkyPilot:
    """`sky launch FILE`; the machine is given back when it has been idle for a while, whatever happens here."""

    ending: ClassVar[str] = "yaml"

    @staticmethod
    def document(task: Task) -> dict[str, Any]:
        """Keys go in as secrets, by name."""
        if task.head.cron is not None:
            raise UsageError(
                "skypilot has no schedule; leave cron out, and call `breakeven fleet submit` by your own cron"
            )
        minutes = _IDLE_MINUTES if task.plan is None else _IDLE_MINUTES_OF_A_CELL
        resources: dict[str, Any] = {
            "image_id": f"docker:{image(task)}",
            "use_spot": False,
            "autostop": {"idle_minutes": minutes, "down": True},
        }
        if task.nodes.gpu is not None:
            card, memory = card_and_memory(task.nodes.gpu)
            resources["accelerators"] = (
                f"{card}-{memory}GB:{task.nodes.gpu_count}" if memory else f"{card}:{task.nodes.gpu_count}"
            )
        if task.nodes.max_usd_per_h is not None:
            resources["max_hourly_cost"] = task.nodes.max_usd_per_h
        if task.nodes.infra:
            resources["any_of"] = [{"infra": name} for name in task.nodes.infra]
        keys = (
            *(task.served.secrets if task.served is not None else ()),
            *((KEY_VARIABLE,) if task.plan is None else ()),
        )
        told: dict[str, Any] = {"name": task.job, "resources": resources}
        if variables(task):
            told["envs"] = variables(task)
        if keys:
            told["secrets"] = dict.fromkeys(keys)
        if setup(task):
            told["setup"] = "\n".join(setup(task)) + "\n"
        return told | {"run": "\n".join(run(task)) + "\n"}
