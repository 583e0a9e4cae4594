"""Why two runs' machines are not the same: one line a difference that can move a figure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from breakeven.errors import one_line
from breakeven.units import exact

_GPU_SETTINGS: Final = {
    "power_limit_w": "power limit (W)",
    "memory_bytes": "memory (bytes)",
    "pcie_generation_max": "PCIe generation",
    "pcie_width": "PCIe lanes",
    "sm_clock_max_mhz": "greatest SM clock (MHz)",
    "memory_clock_max_mhz": "greatest memory clock (MHz)",
    "ecc": "ECC",
    "mig": "MIG",
}
_HOST: Final = {
    "driver": "NVIDIA driver",
    "cuda": "CUDA of the driver",
    "cpu": "CPU",
    "cpu_cores": "cores",
    "cpu_quota_cores": "CPU quota (cores)",
    "cpu_governor": "CPU governor",
    "memory_bytes": "memory (bytes)",
    "machine": "architecture",
    "system": "kernel",
    "os": "system",
    "python": "Python",
    "breakeven": "breakeven",
    "engine_is_local": "engine on the client's machine",
}


def host_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """One line for each thing in which two records of a machine (`RunFacts.host`) differ; empty: they are alike.

    What only one of the two knows is a difference too. Settings of the GPUs are compared only where the GPUs are of
    the same name and number: else they are other cards, and that is said.
    """
    return [*_gpus(_cards(a), _cards(b)), *_lines(a, b, _HOST)]


def _cards(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The GPUs of a record; one that another tool knows by name alone counts as a card of that name."""
    found = host.get("gpus")
    gpus = found if isinstance(found, list | tuple) else ()
    return [gpu if isinstance(gpu, Mapping) else {"name": gpu} for gpu in gpus]


def _gpus(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> list[str]:
    if _names(a) != _names(b):
        return [f"the GPUs differ: A {_names(a)}, B {_names(b)}"]
    return [
        f"GPU {one.get('index')}: {line}"
        for one, other in zip(a, b, strict=True)
        for line in _lines(one, other, _GPU_SETTINGS)
    ]


def _names(gpus: Sequence[Mapping[str, Any]]) -> str:
    """`2 x NVIDIA L4, 1 x NVIDIA A10`."""
    names = [_value(gpu.get("name")) for gpu in gpus]
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names)) or "none"


def _lines(a: Mapping[str, Any], b: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    return [
        f"{label}: A {_value(a.get(name))}, B {_value(b.get(name))}"
        for name, label in words.items()
        if a.get(name) != b.get(name)
    ]


def _value(value: object) -> str:
    if isinstance(value, float):
        return exact(value)
    return "not known" if value is None else one_line(str(value), limit=80)
