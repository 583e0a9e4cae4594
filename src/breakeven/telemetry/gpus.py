"""The GPUs of this machine for the record of a run: what they are, and how they are set."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from breakeven.telemetry.nvml import Nvml
from breakeven.telemetry.source import AbsentError

UUID_DIGITS: Final = 12

_FACTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "name": lambda nvml, gpu: nvml.nvmlDeviceGetName(gpu),
    "uuid_sha256": lambda nvml, gpu: hashlib.sha256(nvml.nvmlDeviceGetUUID(gpu).encode()).hexdigest()[:UUID_DIGITS],
    "memory_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "default_power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000,
    "sm_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "pcie_generation_max": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu),
    "pcie_width": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "compute_capability": lambda nvml, gpu: ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(gpu))),
    "ecc": lambda nvml, gpu: bool(nvml.nvmlDeviceGetEccMode(gpu)[0]),
    "mig": lambda nvml, gpu: bool(nvml.nvmlDeviceGetMigMode(gpu)[0]),
}
"""The link's greatest generation is kept, not the current one, which sinks while the GPU is idle."""


def gpu_facts(*, library: Any = None, visible: str | None = None) -> dict[str, Any]:
    """`gpus` (a list), `driver` and `cuda`; a fact that the driver does not tell is None.

    Where there is no GPU to be seen, the list is empty and `gpus_reason` says why. A card's UUID is kept as the first
    12 hexadecimal digits of its SHA-256: enough to see that it is the same card, and not its number.
    """
    try:
        nvml = Nvml(library=library, visible=visible)
    except AbsentError as error:
        return {"gpus": [], "gpus_reason": str(error), "driver": None, "cuda": None}
    facts: dict[str, Any] = {
        "gpus": [_facts(nvml.library, index, gpu) for index, gpu in nvml.gpus.items()],
        "driver": _told(nvml.library, nvml.library.nvmlSystemGetDriverVersion),
        "cuda": cuda_version(_told(nvml.library, nvml.library.nvmlSystemGetCudaDriverVersion)),
    }
    nvml.library.nvmlShutdown()
    return facts


def _facts(library: Any, index: str, gpu: Any) -> dict[str, Any]:
    return {"index": index} | {name: _told(library, read, library, gpu) for name, read in _FACTS.items()}


def _told(library: Any, read: Callable[..., Any], *of: Any) -> Any:
    try:
        return read(*of)
    except (library.NVMLError, AttributeError):
        return None


def cuda_version(number: int | None) -> str | None:
    """The newest CUDA that the driver serves: 12080 -> `12.8`."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"
