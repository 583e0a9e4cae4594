"""What people call a run's machine, engine and load."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from breakeven.errors import one_line
from breakeven.metrics.summary import LevelSummary, RunFacts
from breakeven.units import load_text

ENGINES: Final = {
    "llamacpp": "llama.cpp",
    "vllm": "vLLM",
    "lmdeploy": "LMDeploy",
    "sglang": "SGLang",
    "ollama": "Ollama",
    "trtllm": "TensorRT-LLM",
    "tgi": "TGI",
    "transformers": "Transformers",
    "openai": "an OpenAI-compatible server",
}
"""How the engines write themselves."""
_VENDOR: Final = re.compile(r"^((NVIDIA|AMD|Intel)\s+)?((GeForce|Instinct)\s+)?", re.IGNORECASE)
_CPU_NOISE: Final = re.compile(r"\((R|TM|tm)\)|\s+\d+-Core Processor|\s+CPU( @.*)?$|\s+Processor$")


def gpu_names(host: Mapping[str, Any]) -> list[str]:
    """The cards of a machine, one entry each; empty where it has none or does not say."""
    listed = host.get("gpus")
    if isinstance(listed, list | tuple) and listed:
        names = [one.get("name") if isinstance(one, dict) else one for one in listed]
        return [short_gpu(str(name)) for name in names if name]
    name = host.get("gpu_name") or host.get("gpu")
    if isinstance(name, dict):
        name = name.get("name")
    return [short_gpu(str(name))] * gpu_count(host) if name else []


def gpu_count(host: Mapping[str, Any]) -> int:
    """Cards that served; 1 where nothing is said, so that a machine without a card counts as one unit."""
    listed, count = host.get("gpus"), host.get("gpu_count")
    if isinstance(listed, list | tuple) and listed:
        return len(listed)
    return int(count) if isinstance(count, int | float) and count >= 1 else 1


def short_gpu(name: str) -> str:
    """`NVIDIA GeForce RTX 4090` -> `RTX 4090`."""
    return _VENDOR.sub("", one_line(name, limit=60)) or one_line(name, limit=60)


def hardware(host: Mapping[str, Any]) -> str:
    """`RTX 4090`, `4 × L4`, or the CPU where there is no card."""
    gpus = gpu_names(host)
    if gpus:
        kinds = list(dict.fromkeys(gpus))
        return " + ".join(f"{gpus.count(kind)} × {kind}" if gpus.count(kind) > 1 else kind for kind in kinds)
    cpu, cores = host.get("cpu"), host.get("cpu_cores")
    if not cpu:
        return "machine"
    name = _CPU_NOISE.sub("", one_line(str(cpu), limit=60)).strip()
    return f"{name} ({cores} cores)" if cores else name


def card(host: Mapping[str, Any]) -> str:
    """What one unit of the hardware is called: one card of several."""
    kinds = set(gpu_names(host))
    return kinds.pop() if len(kinds) == 1 else hardware(host)


def engine(facts: Mapping[str, Any], *, version: bool = False) -> str:
    """`vLLM`, with `version` `vLLM 0.23`; empty where the engine is not known."""
    name = one_line(str(facts.get("name") or ""), limit=40)
    if name in ("", "unknown"):
        return ""
    told = ENGINES.get(name, name)
    number = one_line(str(facts.get("version") or ""), limit=40) if version else ""
    return f"{told} {number}".strip()


def layout(facts: Mapping[str, Any]) -> str:
    """`2 × TP1`, `TP2`, `2 replicas`: how an engine that was told so lies on its cards; empty where it was not told."""
    settings = facts.get("settings")
    told = settings if isinstance(settings, dict) else {}
    replicas, split = (told.get(name) for name in ("replicas", "tensor_parallel"))
    if not isinstance(split, int):
        return f"{replicas} replicas" if isinstance(replicas, int) and replicas > 1 else ""
    return f"{replicas} × TP{split}" if isinstance(replicas, int) and replicas > 1 else f"TP{split}"


def unit(run: RunFacts) -> str:
    """`tok` or `words`: what the run counted."""
    return "words" if run.settings.get("unit") == "words" else "tok"


def mark(run: RunFacts) -> str:
    """What stands with the name of a run wherever nobody measured it."""
    return "predicted" if run.kind == "predicted" else ""


def other_precision(run: RunFacts) -> str:
    """What a card was predicted in, where it has nothing of what was asked for; else empty."""
    about = run.settings.get("predicted") or {}
    return one_line(str(about["precision"]), limit=40) if about.get("asked_precision") else ""


def served_by(run: RunFacts, *, version: bool = False) -> str:
    """The engine, and the precision where that is not the one asked for: `vLLM in fp16`."""
    return " in ".join(filter(None, (engine(run.engine, version=version), other_precision(run))))


def machine(run: RunFacts) -> str:
    """Hardware and engine, without a mark: `RTX 4090 · vLLM`."""
    return " · ".join(one_line(part, limit=60) for part in (hardware(run.host), served_by(run)) if part)


def labels(runs: Sequence[RunFacts]) -> list[str]:
    """A short name for each run, as short as keeps them apart: hardware and engine, then how it lies on its cards, or
    its version, model, id."""
    ways = (
        lambda run: (hardware(run.host), served_by(run)),
        lambda run: (hardware(run.host), served_by(run), layout(run.engine)),
        lambda run: (hardware(run.host), served_by(run, version=True)),
        lambda run: (hardware(run.host), served_by(run, version=True), str(run.model or "")),
    )
    found: list[str] = []
    for way in ways:
        found = [" · ".join(one_line(part, limit=60) for part in (*way(run), mark(run)) if part) for run in runs]
        if len(set(found)) == len(found):
            return found
    return [f"{label} · {one_line(run.id, limit=80)}" for label, run in zip(found, runs, strict=True)]


def load(level: LevelSummary) -> str:
    """`1 user`, `50 users`, `2.5 req/s`."""
    if level.users is None and level.req_per_s_offered is None:
        return "unknown load"
    return load_text(level.users, level.req_per_s_offered)
