"""What NVIDIA's driver says of its GPUs: energy, power, clocks, temperature, throttling, memory, utilisation."""

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from breakeven.clock import now_s
from breakeven.telemetry.source import SAMPLE_EVERY_S, AbsentError, Row

Read = Callable[[Any, Any], float]
"""Of the library and a GPU's handle."""

SLOW_EVERY: Final = 10
"""Readings of the fast values to one of the slow ones."""


def _throttle_bits(nvml: Any, gpu: Any) -> float:
    """The older of two names for one question: drivers before 535 know no other, newer ones know both."""
    old = getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None)
    bits: int = (old or nvml.nvmlDeviceGetCurrentClocksEventReasons)(gpu)
    return bits


FAST: Final[Mapping[str, Read]] = {
    "energy_j": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    "throttle_bits": _throttle_bits,
    "memory_used_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "utilisation_share": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
}
"""Asked ten times a second. `throttle_bits` are the sum of the reasons in metrics/gpu.py."""
SLOW: Final[Mapping[str, Read]] = {
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    "default_power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu) / 1000,
    "compute_processes": lambda nvml, gpu: len(nvml.nvmlDeviceGetComputeRunningProcesses(gpu)),
}
"""Asked once a second: they hardly change, and listing processes is dear."""


class Nvml:
    """The GPUs of this machine, or those of them that CUDA_VISIBLE_DEVICES names. Ready to use once made."""

    every_s: ClassVar[float] = SAMPLE_EVERY_S
    may_wait: ClassVar[bool] = False

    def __init__(self, *, library: Any = None, visible: str | None = None) -> None:
        self.library = library if library is not None else open_library()
        self.missing: dict[str, str] = {}
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
        self.gpus = visible_gpus(self.library, wanted=wanted)
        self._unable: set[tuple[str, str]] = set()
        self._count = 0

    def rows(self) -> Iterator[Row]:
        """Every GPU in turn, each with its own stamp."""
        reads = {**FAST, **SLOW} if self._count % SLOW_EVERY == 0 else FAST
        self._count += 1
        for device, gpu in self.gpus.items():
            yield Row(now_s(), device, self._values(reads, device=device, gpu=gpu))

    def _values(self, reads: Mapping[str, Read], *, device: str, gpu: Any) -> dict[str, float]:
        values = {}
        for name, read in reads.items():
            if (device, name) in self._unable:
                continue
            try:
                values[name] = float(read(self.library, gpu))
            except self.library.NVMLError as error:
                self.missing[f"{device}.{name}"] = f"NVML: {error}"
                if error.value in self._for_good():
                    self._unable.add((device, name))
            except AttributeError as error:
                self.missing[f"{device}.{name}"] = f"the installed nvidia-ml-py is too old: {error}"
                self._unable.add((device, name))
        return values

    def _for_good(self) -> tuple[int, ...]:
        """Errors that asking again cannot change."""
        nvml = self.library
        return (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.NVML_ERROR_NO_PERMISSION)


def open_library(*, driver: str = "/proc/driver/nvidia") -> Any:
    """Import and start `pynvml`; AbsentError where library or driver is not there."""
    try:
        library = importlib.import_module("pynvml")
    except ImportError:
        if Path(driver).exists():
            raise AbsentError("nvidia-ml-py is not installed; pip install 'breakeven[gpu]'") from None
        raise AbsentError("no NVIDIA driver on this machine") from None
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise AbsentError(f"no NVIDIA driver on this machine (NVML: {error})") from None
    return library


def visible_gpus(library: Any, *, wanted: str | None) -> dict[str, Any]:
    """Handles by index: all, or those in `wanted`, in CUDA's words: indices or beginnings of UUIDs, with commas.

    AbsentError where none is left.
    """
    try:
        handles = {
            str(index): library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())
        }
        words = None if wanted is None else [word.strip() for word in wanted.split(",") if word.strip()]
        chosen = {
            index: gpu
            for index, gpu in handles.items()
            if words is None or index in words or _is_named(library.nvmlDeviceGetUUID(gpu), words)
        }
    except library.NVMLError as error:
        raise AbsentError(f"NVML: {error}") from None
    if not chosen:
        raise AbsentError(
            "the NVIDIA driver shows no GPU" + ("" if wanted is None else f" of CUDA_VISIBLE_DEVICES={wanted}")
        )
    return chosen


def _is_named(uuid: str, words: list[str]) -> bool:
    return any(word.startswith("GPU-") and uuid.startswith(word) for word in words)
