"""The plan file of a search: what the options of `breakeven tune` say, as a study with a row of settings each."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from breakeven.plan import Plan
from breakeven.serving import EngineSettings, Hardware, Launch, Setting, engine_settings
from breakeven.study.cells import EMBEDDED
from breakeven.study.space import Vary, settings_in
from breakeven.study.types import Tune

HERE: Final = "here"
_LONGEST_NAME: Final = 80
_OF_ENGINE: Final = ("engine", "url", "api_key_env", "headers", "headers_env", "proxy")
_OF_WORKLOAD: Final = ("workload", "api", "input_tokens", "output_tokens", "file", "options", "body", "think_s", "seed")
_OF_LEVELS: Final = (
    *("users", "clients", "slo", "duration_s", "requests", "max_duration_s", "precision", "ramp_s", "warmup_s"),
    "timeout_s",
)


def tuned_table(
    plan: Plan,
    varied: Sequence[Vary],
    *,
    tune: Tune,
    max_hours: float | None,
    max_usd: float | None,
    rent_usd_per_h: float | None,
) -> dict[str, Any]:
    """The tables of the study's file; `plan` is what every setting shares."""
    given = {key: value for key, value in msgspec.to_builtins(plan).items() if value is not None}
    engine = plan.engine or ("llamacpp" if plan.model is None else EMBEDDED)
    launch = msgspec.to_builtins(plan.launch or Launch())
    hardware = msgspec.to_builtins(plan.hardware or Hardware())
    if rent_usd_per_h is not None:
        hardware |= {"rent_usd_per_h": rent_usd_per_h, "rent_source": "--rent"}
    # the embedded engine has no cards: two of it share the machine, and its rent
    of_cards = ("tensor_parallel",) if plan.is_embedded else ("tensor_parallel", "replicas")
    if any(vary.name in of_cards for vary in varied) and hardware:
        hardware = {key: value for key, value in hardware.items() if key != "count"} | {"per_card": True}
    head = {"name": plan.name or "tune", "repeats": plan.repeats, "seed": plan.seed}
    head |= {key: v for key, v in (("max_hours", max_hours), ("max_usd", max_usd)) if v is not None}
    return {
        "study": head,
        "tune": {key: value for key, value in msgspec.to_builtins(tune).items() if value is not None},
        **({"hardware": [{"name": HERE} | hardware]} if hardware else {}),
        **({"models": [{"name": _short(plan.model), "model": plan.model}]} if plan.model is not None else {}),
        "engines": [{"name": engine} | _only(given, _OF_ENGINE) | launch],
        "settings": _rows(settings_in(varied, seed=plan.seed)),
        "workloads": [{"name": plan.workload} | _only(given, _OF_WORKLOAD)],
        "levels": _only(given, _OF_LEVELS),
    }


def _only(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _rows(every: Sequence[Mapping[str, Setting]]) -> list[dict[str, Any]]:
    """A row of settings each, named by its values."""
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for number, settings in enumerate(every, 1):
        name = "-".join(f"{key}{_plain(value)}" for key, value in settings.items())
        if len(name) > _LONGEST_NAME or name in taken:
            name = f"setting{number}"
        taken.add(name)
        told: EngineSettings = engine_settings(settings)
        rows.append({"name": name, **msgspec.to_builtins(told)})
    return rows


def _plain(value: Setting) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9.]+", "_", text)


def _short(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-._") or "model"
