"""The embedded engine: llama.cpp with a small model, on this machine, for a first look without a GPU."""

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from breakeven.errors import RunFailedError, UsageError, unknown
from breakeven.launch.health import local_get
from breakeven.launch.process import EngineProcess, start_process
from breakeven.serving import EngineSettings, settings_table

MIN_CONTEXT_PER_SLOT: Final = 512
MAX_SLOTS: Final = 256
"""llama.cpp refuses more sequences at once; further users wait in its queue."""
START_TIMEOUT_S: Final = 120.0
SETTINGS: Final = ("threads", "slots", "batch_tokens", "micro_batch_tokens", "context_tokens")
"""What the embedded engine can be told; `max_batch` is another word for its slots."""
_MOST: Final = {"threads": 1024, "slots": MAX_SLOTS}
_LEAST: Final = {"context_tokens": MIN_CONTEXT_PER_SLOT}
_UNBOUND: Final = 1 << 20
_ENVIRONMENT: Final = {"GOMP_SPINCOUNT": "1000"}
"""Otherwise its threads wait by spinning, and one busy neighbour process takes most of the throughput."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """An engine that we started, ready to serve."""

    url: str
    model: str
    """Name to ask for."""
    engine: str
    """Row of ENGINES that knows it."""
    pid: int
    argv: tuple[str, ...]
    start_s: float
    """Seconds from start until it served."""
    version: str | None
    settings: Mapping[str, Any]
    log_path: Path
    process: EngineProcess
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further facts to keep, such as the container image and its digest."""

    def stop(self) -> None:
        """End the engine and all that it started."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_embedded(
    *,
    slots: int,
    model_path: Path,
    log_path: Path,
    context_per_slot: int = MIN_CONTEXT_PER_SLOT,
    threads: int | None = None,
    batch_tokens: int | None = None,
    micro_batch_tokens: int | None = None,
) -> Launched:
    """Start the embedded engine with a slot for each of `slots` users, at most MAX_SLOTS.

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
    process = start_process(argv, log_path=log_path, env=_ENVIRONMENT, name="the embedded engine")
    start_s = process.wait_ready(lambda: _serves(log_path), timeout_s=START_TIMEOUT_S)
    ready = _ready_line(log_path)
    if ready is None:
        process.stop()
        raise RunFailedError(f"the embedded engine did not say where it listens; its log is {log_path}")
    return Launched(
        url=ready["listening"],
        model=model_path.stem,
        engine="llamacpp",
        pid=process.pid,
        argv=tuple(argv),
        start_s=start_s,
        version=ready["version"],
        settings=ready["settings"],
        log_path=log_path,
        process=process,
    )


def embedded_settings(settings: EngineSettings) -> dict[str, int]:
    """What the embedded engine is told, by the names of SETTINGS; UsageError for what it cannot be told."""
    told = settings_table(settings)
    if settings.extra or settings.host != EngineSettings().host:
        raise UsageError(f"the embedded engine has no command line; it can be told {', '.join(SETTINGS)}")
    if "max_batch" in told:
        if "slots" in told:
            raise UsageError("slots and max_batch: the two are one for the embedded engine; give one of them")
        told["slots"] = told.pop("max_batch")
    return {name: _whole(name, value) for name, value in told.items()}


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
