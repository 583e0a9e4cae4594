"""Which GPUs the engines of a deployment get: so many each of those that are visible, in their order."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from breakeven.engine.base import OpenAI
from breakeven.errors import RunFailedError, UsageError
from breakeven.serving import Launch
from breakeven.telemetry.nvml import open_library, visible_gpus
from breakeven.telemetry.source import AbsentError

CUDA: Final = "CUDA_VISIBLE_DEVICES"
VARIABLES: Final = (CUDA, "HIP_VISIBLE_DEVICES")
"""By which GPUs are shown to a process; the first of them that is set says which are ours to share out."""


def gpus_of(
    engine: type[OpenAI], launch: Launch, *, environment: Mapping[str, str]
) -> tuple[tuple[str, ...], ...] | None:
    """The GPUs of each engine, in CUDA's words; None where the plan says neither `replicas` nor `tensor_parallel`.

    Then nobody said how many there are, and the engine sees all. Where plan or environment hide every GPU, nobody gets
    any. The driver is not asked: `check_gpus` does that.
    """
    settings = launch.settings
    if settings.replicas is None and settings.tensor_parallel is None:
        return None
    each, count = engine.gpus_each(settings), settings.replicas or 1
    shown = visible(launch, environment=environment)
    if shown is None:
        shown = tuple(map(str, range(each * count)))
    elif shown and len(shown) < each * count:
        raise UsageError(_too_few(each, count, has=f"{variable(launch, environment=environment)} names {len(shown)}"))
    return tuple(shown[number * each : (number + 1) * each] for number in range(count))


def check_gpus(engine: type[OpenAI], launch: Launch, *, environment: Mapping[str, str], library: Any = None) -> None:
    """RunFailedError where the driver shows fewer GPUs than the engines take; none where no driver can be asked."""
    wanted = gpus_of(engine, launch, environment=environment)
    if wanted is None:
        return
    with contextlib.suppress(AbsentError):
        nvml = library or open_library()
        has = len(visible_gpus(nvml, wanted=None))
        nvml.nvmlShutdown()
        if has < sum(map(len, wanted)):
            raise RunFailedError(_too_few(len(wanted[0]), len(wanted), has=f"the NVIDIA driver shows {has}"))


def _too_few(each: int, count: int, *, has: str) -> str:
    engines = "one engine" if count == 1 else f"{count} engines of {each} each"
    return f"{engines} (replicas x tensor_parallel) take {count * each} GPUs, and {has}; give fewer"


def variable(launch: Launch, *, environment: Mapping[str, str]) -> str:
    """The variable that shows GPUs to an engine."""
    return next((name for name in VARIABLES if name in launch.env or name in environment), CUDA)


def visible(launch: Launch, *, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The GPUs that plan or environment name; None: they name none, so all are ours."""
    name = variable(launch, environment=environment)
    said = launch.env.get(name, environment.get(name))
    return None if said is None else tuple(word.strip() for word in said.split(",") if word.strip() not in ("", "-1"))
