"""Job files for the grids that exist: one table of targets, each says only what is different there."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, cast

import msgspec

from breakeven.fleet.jobs.task import Task
from breakeven.fleet.jobs.yaml import to_yaml
from breakeven.registry import load

TARGETS: Final = {
    "nosana": "breakeven.fleet.jobs.nosana:Nosana",
    "skypilot": "breakeven.fleet.jobs.skypilot:SkyPilot",
    "dstack": "breakeven.fleet.jobs.dstack:Dstack",
    "kubernetes": "breakeven.fleet.jobs.kubernetes:Kubernetes",
    "local": "breakeven.fleet.jobs.local:Local",
}


class Target(Protocol):
    """How a grid is told what a job is."""

    ending: ClassVar[str]
    """Of the file: `json` or `yaml`."""

    @staticmethod
    def document(task: Task) -> Mapping[str, Any]:
        """The job as that grid wants it; UsageError for what it cannot do. No secret is in it, only their names."""


def target(name: str) -> type[Target]:
    """A row of TARGETS; UsageError names the nearest known name."""
    return cast("type[Target]", load("target", TARGETS, name))


def job_file(kind: type[Target], task: Task) -> tuple[str, str]:
    """Name and text of the job's file."""
    told = kind.document(task)
    text = to_yaml(told) if kind.ending == "yaml" else msgspec.json.format(msgspec.json.encode(told), indent=2).decode()
    return f"{task.job}.{kind.ending}", text.rstrip("\n") + "\n"
