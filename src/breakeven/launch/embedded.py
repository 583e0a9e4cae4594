"""The embedded engine: llama.cpp with a small model, on this machine, for a first look without a GPU."""

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from breakeven.errors import RunFailedError, UsageError, unknown
from breakeven.launch.gguf import quantization_of
from breakeven.launch.health import local_get
from breakeven.launch.launched import Begun, Launched, replica_log, replica_name, start_all
from breakeven.launch.process import start_process
from breakeven.serving import MOST_REPLICAS, EngineSettings, Routing, settings_table

MIN_CONTEXT_PER_SLOT: Final = 512
MAX_SLOTS: Final = 256
"""llama.cpp refuses more sequences at once; further users wait in its queue."""
START_TIMEOUT_S: Final = 120.0
SETTINGS: Final = (
    "threads",
    "slots",
    "batch_tokens",
    "micro_batch_tokens",
    "context_tokens",
    "quantization",
    "replicas",
    "routing",
)
"""What the embedded engine can be told; `max_batch` is another word for its slots."""
_TEXTS: Final = ("quantization", "routing")
_MOST: Final = {"threads": 1024, "slots": MAX_SLOTS, "replicas": MOST_REPLICAS}
_LEAST: Final = {"context_tokens": MIN_CONTEXT_PER_SLOT}
_UNBOUND: Final = 1 << 20
_ENVIRONMENT: Final = {"GOMP_SPINCOUNT": "1000"}
"""Otherwise its threads wait by spinning, and one busy neighbour process takes most of the throughput."""


def start_embedded(
    *,
    slots: int,
    model_path: Path,
    log_path: Path,
    context_per_slot: int = MIN_CONTEXT_PER_SLOT,
    threads: int | None = None,
    batch_tokens: int | None = None,
    micro_batch_tokens: int | None = None,
    replicas: int = 1,
    routing: Routing | None = None,
) -> Launched:
    """Start the embedded engine with a slot for each of `slots` users, at most MAX_SLOTS; several times if wanted.

    A slot has at least MIN_CONTEXT_PER_SLOT tokens of context. What is None is left to llama.cpp. The settings that
    came out are in `settings`, read back from the engine.
    """
    if slots < 1:
        raise UsageError(f"slots: {slots} is no number of slots; the embedded engine needs at least 1")
    argv = _argv(
        slots=slots,
        context_per_slot=context_per_slot,
        model_path=model_path,
        own={"threads": threads, "batch-tokens": batch_tokens, "micro-batch-tokens": micro_batch_tokens},
    )

    def begin(number: int) -> Begun:
        name = replica_name("the embedded engine", number, of=replicas)
        return _begin(argv, model_path=model_path, log_path=replica_log(log_path, number), name=name)

    return start_all(replicas, begin, timeout_s=START_TIMEOUT_S, routing=routing)


def _begin(argv: list[str], *, model_path: Path, log_path: Path, name: str) -> Begun:
    quantization = quantization_of(model_path)  # first: a file that cannot be read starts nothing
    process = start_process(argv, log_path=log_path, env=_ENVIRONMENT, name=name)

    def launched(start_s: float) -> Launched:
        ready = _ready_line(log_path)
        if ready is None:
            raise RunFailedError(f"{name} did not say where it listens; its log is {log_path}")
        return Launched(
            url=ready["listening"],
            model=model_path.stem,
            engine="llamacpp",
            pid=process.pid,
            argv=tuple(argv),
            start_s=start_s,
            version=ready["version"],
            settings=ready["settings"] | ({} if quantization is None else {"quantization": quantization}),
            log_path=log_path,
            process=process,
        )

    return Begun(process, lambda: _serves(log_path), launched)


def embedded_settings(settings: EngineSettings) -> dict[str, int | str]:
    """What the embedded engine is told, by the names of SETTINGS; UsageError for what it cannot be told."""
    told = settings_table(settings)
    if settings.extra or settings.host != EngineSettings().host:
        raise UsageError(f"the embedded engine has no command line; it can be told {', '.join(SETTINGS)}")
    if "max_batch" in told:
        if "slots" in told:
            raise UsageError("slots and max_batch: the two are one for the embedded engine; give one of them")
        told["slots"] = told.pop("max_batch")
    return {name: str(value) if name in _TEXTS else _whole(name, value) for name, value in told.items()}


def _whole(name: str, value: object) -> int:
    if name not in SETTINGS:
        raise UsageError(unknown("setting of the embedded engine", name, SETTINGS))
    least, most = _LEAST.get(name, 1), _MOST.get(name, _UNBOUND)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name}: {value} cannot be; give the embedded engine a whole number from {least} to {most}")
    return value


def _argv(*, slots: int, context_per_slot: int, model_path: Path, own: Mapping[str, int | None]) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "breakeven.launch.llamacpp_server"),
        *("--model", str(model_path)),
        *("--slots", str(min(slots, MAX_SLOTS))),
        *("--context-per-slot", str(max(context_per_slot, MIN_CONTEXT_PER_SLOT))),
        *(word for name, value in own.items() if value is not None for word in (f"--{name}", str(value))),
    ]


def _serves(log_path: Path) -> bool:
    ready = _ready_line(log_path)
    return ready is not None and local_get(ready["listening"] + "/health") is not None


def _ready_line(log_path: Path) -> dict[str, Any] | None:
    """The line in which our launcher says where it listens; None until then."""
    for line in log_path.read_bytes().splitlines():
        if line.startswith(b'{"listening"'):
            with contextlib.suppress(json.JSONDecodeError):
                found: dict[str, Any] = json.loads(line)
                return found
    return None
