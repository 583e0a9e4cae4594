"""How to repeat a run: the exact command, from the settings that were stored with it."""

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from breakeven.errors import UsageError
from breakeven.findings.scrub import bare_url, clean
from breakeven.metrics.summary import RunFacts
from breakeven.plan import OPTIONS, Plan


def run_command(run: RunFacts) -> str | None:
    """`breakeven run …` with each setting that is no default; None for what another tool measured.

    An engine that was started for the run has settings that no option can say: there it is the plan in the run folder.
    """
    if "imported" in run.settings or "data_set" in run.settings or not run.settings:
        return None
    given = {name: run.settings[name] for name in Plan.__struct_fields__ if run.settings.get(name) is not None}
    try:
        plan = msgspec.convert(given, Plan)
    except (msgspec.ValidationError, UsageError):
        return None
    if plan.url is None and not plan.is_embedded:
        return f"breakeven run {shlex.quote(clean(run.id) + '/plan.toml')}"
    default = Plan()
    said = {name: value for name, value in asdict(plan).items() if value != getattr(default, name)}
    return " ".join(["breakeven run", *_words(said)])


def _words(settings: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, flag in OPTIONS.items():
        value = settings.get(name)
        if value is None:
            continue
        words += [flag] if value is True else [flag, shlex.quote(_value(name, value))]
    for key, value in (settings.get("options") or {}).items():
        words += ["--option", shlex.quote(clean(f"{key}={value}"))]
    return words


def _value(name: str, value: Any) -> str:
    if name == "url":
        return bare_url(str(value))
    if name == "file":
        return clean(str(value)).rpartition("/")[2]
    if isinstance(value, list | tuple):
        return ",".join(f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, float) else clean(str(value))
