"""The record of the client's machine: enough to say whether two runs are comparable, and nothing secret."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from breakeven import __version__
from breakeven.hidden import hidden_words
from breakeven.telemetry.exporter import exporter_facts
from breakeven.telemetry.gpus import gpu_facts
from breakeven.telemetry.handle import REMOTE


def host_record(
    *,
    engine_is_local: bool,
    gpus: Sequence[str] | None = None,
    gpu_metrics: str | None = None,
    gpu_labels: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What host.json keeps of this machine: `host_facts`, and the GPUs that serve with their driver.

    GPUs are left out where the engine runs on another machine: ours are not the ones that serve, which the exporter at
    `gpu_metrics` tells of. So are those of ours that are not among `gpus`, which the engine was given. Asking takes
    some tenths of a second, so this is called before the first level only. RunFailedError where an exporter is named
    that tells of no GPU.
    """
    if gpu_metrics is not None:
        told = exporter_facts(gpu_metrics, labels=gpu_labels)
    elif engine_is_local:
        told = gpu_facts(visible=None if gpus is None else ",".join(gpus))
    else:
        told = {"gpus": [], "gpus_reason": REMOTE, "driver": None, "cuda": None}
    return {**host_facts(), "engine_is_local": engine_is_local, **told}


def host_facts() -> dict[str, Any]:
    """CPU, memory, system and versions of this machine; None where the system does not say."""
    return {
        "cpu": _cpu_model(),
        "cpu_cores": _cores(),
        "cpu_quota_cores": cpu_quota_cores(),
        "cpu_governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()}",
        "os": os_name(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "breakeven": __version__,
    }


def without_secrets(argv: Sequence[str]) -> list[str]:
    """A command line that may be stored: what looks like a secret is hidden, the user's home is `~`."""
    home = f"{Path.home()}/"
    return hidden_words(word.replace(home, "~/") for word in argv)


def os_name(*, path: str = "/etc/os-release") -> str | None:
    """Name and version of the distribution; None where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), None)


def cpu_quota_cores(*, path: str = "/sys/fs/cgroup/cpu.max") -> float | None:
    """Cores that a container may use by its quota (cgroup 2); None where there is no quota."""
    quota, _, period = (_first_line(path) or "max").partition(" ")
    return None if quota == "max" else int(quota) / int(period)


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii").strip() or None
    except OSError:
        return None


def _cores() -> int | None:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
