"""NVML without a GPU: the names and return types of nvidia-ml-py, with values that a test sets."""

# ruff: noqa: N802  (the names are the library's)

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As nvidia-ml-py raises it: with the error's number in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return {3: "Not Supported", 4: "Insufficient Permissions", 9: "Driver Not Loaded", 15: "GPU is lost"}[
            self.value
        ]


CARD: dict[str, Any] = {
    "name": "NVIDIA L4",
    "uuid": "GPU-11111111-2222-3333-4444-555555555555",
    "energy_mj": 5_000_000,
    "power_mw": 71_500,
    "limit_mw": 60_000,
    "default_limit_mw": 72_000,
    "clocks_mhz": {1: 1_980, 2: 6_251},
    "temperature_c": 61,
    "reasons": 0x24,
    "memory_total": 24_152_899_584,
    "memory_used": 20_000_000_000,
    "utilisation_percent": 98,
    "processes": 2,
}
"""An imaginary L4 in the units of NVML."""


class FakeNvml:
    """Looks like the module `pynvml`. Handles are the cards' dicts; a value that is an NVMLError is raised."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *cards: dict[str, Any]) -> None:
        self.cards = [CARD | card for card in cards]
        self.calls: list[str] = []

    def _value(self, card: dict[str, Any], name: str) -> Any:
        self.calls.append(name)
        if isinstance(card[name], NVMLError):
            raise card[name]
        return card[name]

    def nvmlInit(self) -> None:
        self.calls.append("init")

    def nvmlShutdown(self) -> None:
        self.calls.append("shutdown")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13_000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self.cards[index]

    def nvmlDeviceGetName(self, gpu: Any) -> Any:
        return self._value(gpu, "name")

    def nvmlDeviceGetUUID(self, gpu: Any) -> Any:
        return self._value(gpu, "uuid")

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Any) -> Any:
        return self._value(gpu, "energy_mj")

    def nvmlDeviceGetPowerUsage(self, gpu: Any) -> Any:
        return self._value(gpu, "power_mw")

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: Any) -> Any:
        return self._value(gpu, "limit_mw")

    def nvmlDeviceGetPowerManagementDefaultLimit(self, gpu: Any) -> Any:
        return self._value(gpu, "default_limit_mw")

    def nvmlDeviceGetClockInfo(self, gpu: Any, kind: int) -> Any:
        return self._value(gpu, "clocks_mhz")[kind]

    def nvmlDeviceGetMaxClockInfo(self, gpu: Any, kind: int) -> Any:
        return self._value(gpu, "clocks_mhz")[kind] + 60

    def nvmlDeviceGetTemperature(self, gpu: Any, sensor: int) -> Any:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return self._value(gpu, "temperature_c")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: Any) -> Any:
        return self._value(gpu, "reasons")

    def nvmlDeviceGetMemoryInfo(self, gpu: Any) -> Any:
        total, used = self._value(gpu, "memory_total"), self._value(gpu, "memory_used")
        return SimpleNamespace(total=total, used=used, free=total - used)

    def nvmlDeviceGetUtilizationRates(self, gpu: Any) -> Any:
        return SimpleNamespace(gpu=self._value(gpu, "utilisation_percent"), memory=40)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Any) -> Any:
        return [SimpleNamespace(pid=number, usedGpuMemory=None) for number in range(self._value(gpu, "processes"))]

    def nvmlDeviceGetCurrPcieLinkWidth(self, gpu: Any) -> int:
        return 16

    def nvmlDeviceGetMaxPcieLinkGeneration(self, gpu: Any) -> int:
        return 4

    def nvmlDeviceGetCudaComputeCapability(self, gpu: Any) -> tuple[int, int]:
        return (8, 9)

    def nvmlDeviceGetEccMode(self, gpu: Any) -> list[int]:
        return [1, 1]

    def nvmlDeviceGetMigMode(self, gpu: Any) -> list[int]:
        raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
