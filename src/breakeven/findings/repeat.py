"""How to repeat a run: the exact command, from the settings that were stored with it."""

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from breakeven.errors import UsageError
from breakeven.findings.scrub import bare_url, clean
from breakeven.metrics.summary import RunFacts
from breakeven.options import Option, plan_words
from breakeven.plan import Plan
from breakeven.serving import settings_table
from breakeven.units import exact


def run_command(run: RunFacts) -> str | None:
    """`breakeven run …` with each setting that is no default; None for what another tool measured.

    An engine that was started for the run has settings that no option can say: there it is the plan in the run folder.
    """
    if run.kind == "predicted":
        return _predict_command(run)
    if run.kind != "measured" or not run.settings:
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
    if "launch" in said:
        said["launch.settings"] = settings_table(plan.launch.settings) if plan.launch else {}
    if plan.auto:
        said.pop("users", None)  # the option's word is then `auto`
    return " ".join(["breakeven run", *_words(said)])


def _predict_command(run: RunFacts) -> str:
    """The prediction again; it stands for the calibrations that are shipped then."""
    about, asked = run.settings["predicted"], run.workload
    words = ["--model", run.model, "--precision", about.get("precision"), "--gpu", run.host.get("gpu")]
    replicas = about.get("replicas", 1)
    words += ["--cards", run.host.get("gpu_count", 1) // replicas, "--engine", run.engine.get("name")]
    words += ["--input-tokens", asked.get("input_tokens"), "--output-tokens", asked.get("output_tokens")]
    words += ["--replicas", replicas, "--routing", about["routing"]] if replicas > 1 else []
    loads = ("rate", "arrivals") if run.settings.get("rate") else ("users",)
    for name in loads:
        told = run.settings.get(name) or ()
        words += [f"--{name}", told if isinstance(told, str) else ",".join(map(exact, told))]
    return " ".join(["breakeven predict", *(shlex.quote(clean(str(word))) for word in words)])


def _words(settings: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for option, word in plan_words(settings):
        words += [option.name] if word is None else [option.name, shlex.quote(_cleaned(option, word))]
    return words


def _cleaned(option: Option, word: str) -> str:
    """Without what shows where it was measured: a URL's user and query, a file's folder."""
    return {"url": bare_url, "file": _base_name}.get(option.place, clean)(word)


def _base_name(path: str) -> str:
    return clean(path).rpartition("/")[2]
