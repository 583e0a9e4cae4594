"""What users ask: one small file a workload."""

import inspect
from collections.abc import Mapping
from typing import Final, cast

from breakeven.errors import UsageError
from breakeven.registry import load
from breakeven.workload.base import Workload

WORKLOADS: Final = {
    "chat": "breakeven.workload.chat:Chat",
    "fixed": "breakeven.workload.fixed:Fixed",
    "lengths": "breakeven.workload.lengths:Lengths",
    "dataset": "breakeven.workload.dataset:Dataset",
    "trace": "breakeven.workload.trace:Trace",
    "conversation": "breakeven.workload.conversation:Conversation",
}


def make_workload(name: str, settings: Mapping[str, object]) -> Workload:
    """The workload called `name`; settings that are None keep its defaults.

    UsageError when the workload does not know a setting, or lacks one that it needs.
    """
    made = load("workload", WORKLOADS, name)
    if not inspect.isclass(made):
        raise TypeError(f"workload '{name}' is no class")
    known = inspect.signature(made).parameters
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if key not in known:
            raise UsageError(f"workload '{name}' takes no {_flag(key)}; it takes: {', '.join(map(_flag, known))}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in given:
            raise UsageError(f"workload '{name}' needs {_flag(key)}")
    return cast("Workload", made(**given))


def _flag(setting: str) -> str:
    return setting.replace("_", "-")
