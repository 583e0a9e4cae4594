"""What users ask: one small file a workload."""

import inspect
from collections.abc import Mapping
from typing import Any, Final, cast, get_args, get_type_hints

import msgspec

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
    "sessions": "breakeven.workload.sessions:Sessions",
}

_OPTIONS: Final = {
    "path": "--file",
    "input_tokens": "--input-tokens",
    "output_tokens": "--output-tokens",
    "seed": "--seed",
}
"""Settings that have an option of their own."""


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
    hints = get_type_hints(made.__init__)
    return cast("Workload", made(**{key: _typed(name, key, value, hints[key]) for key, value in given.items()}))


def _typed(workload: str, key: str, value: object, hint: Any) -> object:
    """A setting from the command line or a plan as the number that it has to be."""
    if not isinstance(value, str) or hint is str or str in get_args(hint):
        return value
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"workload '{workload}': {_flag(key).removesuffix('=…')} '{value}': {error}") from None


def _flag(setting: str) -> str:
    """What a user writes to give the setting."""
    if setting in _OPTIONS:
        return _OPTIONS[setting]
    return f"--option {setting.replace('_', '-')}=…"
