"""GPUs of a machine that we cannot look into: the page of its DCGM exporter or of AMD's, asked once a second."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from breakeven.engine.idle import labelled
from breakeven.errors import RunFailedError, one_line
from breakeven.telemetry.gpus import UUID_DIGITS
from breakeven.telemetry.scrape import FAULTS, Page
from breakeven.telemetry.source import Row

LONGEST_LABEL: Final = 100
_MI_B: Final = float(2**20)
_BLANK: Final = 2147483632
"""DCGM's word for a figure that it does not have, of 32 bits; that of 64 bits is larger."""
_LARGEST: Final = 1e17


class Told(NamedTuple):
    """One figure as an exporter calls it."""

    name: str
    ours: str
    factor: float = 1.0
    """Ours = theirs x factor."""
    label: tuple[str, str] | None = None
    """Only samples with this label."""


FIELDS: Final = (
    Told("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "energy_j", 1e-3),
    Told("DCGM_FI_DEV_POWER_USAGE", "power_w"),
    Told("DCGM_FI_DEV_SM_CLOCK", "sm_clock_mhz"),
    Told("DCGM_FI_DEV_MEM_CLOCK", "memory_clock_mhz"),
    Told("DCGM_FI_DEV_GPU_TEMP", "temperature_c"),
    Told("DCGM_FI_DEV_FB_USED", "memory_used_bytes", _MI_B),
    Told("DCGM_FI_DEV_GPU_UTIL", "utilisation_share", 0.01),
    Told("DCGM_FI_DEV_POWER_MGMT_LIMIT", "power_limit_w"),
    Told("DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF", "default_power_limit_w"),
    Told("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "throttle_bits"),
    Told("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "throttle_bits"),
    Told("gpu_energy_consumed", "energy_j", 1e-6),
    Told("gpu_package_power", "power_w"),
    Told("gpu_average_package_power", "power_w"),
    Told("gpu_power_usage", "power_w"),
    Told("gpu_clock", "sm_clock_mhz", label=("clock_type", "system")),
    Told("gpu_clock", "memory_clock_mhz", label=("clock_type", "memory")),
    Told("gpu_junction_temperature", "temperature_c"),
    Told("gpu_edge_temperature", "temperature_c"),
    Told("gpu_used_vram", "memory_used_bytes", _MI_B),
    Told("gpu_gfx_activity", "utilisation_share", 0.01),
)
"""DCGM exporter 4 (etc/default-counters.csv) and AMD device metrics exporter 1.5 (docs, list of metrics); of two names
of one figure the first that a GPU has counts."""
_NAMES: Final = tuple({told.name for told in FIELDS})


class Gpu(NamedTuple):
    """What one GPU's samples said: its labels and our figures."""

    labels: dict[str, str]
    values: dict[str, float]

    def label(self, *names: str) -> str | None:
        """The first of these labels that is there, safe to show."""
        found = next((self.labels[name] for name in names if self.labels.get(name)), None)
        return None if found is None else one_line(found, limit=LONGEST_LABEL)


def gpus_on(text: str, *, labels: Mapping[str, str]) -> dict[str, Gpu]:
    """The GPUs of a page whose samples have all these labels, by index, and by host and index where hosts differ.

    Slices of one GPU (MIG) tell the whole board's energy and power each, so of several samples the largest counts.
    """
    found: dict[tuple[str, str], tuple[dict[str, str], dict[Told, float]]] = {}
    for line in text.splitlines():
        sample = labelled(line) if line.startswith(_NAMES) else None
        if sample is None or any(sample[1].get(name) != value for name, value in labels.items()):
            continue
        name, own, value = sample
        place = (own.get("Hostname") or own.get("hostname") or "", own.get("gpu") or own.get("gpu_id") or "0")
        told_of = found.setdefault(place, (own, {}))[1]
        for told in FIELDS:
            if told.name == name and _is_told(told, own, value):
                told_of[told] = max(told_of.get(told, 0.0), value * told.factor)
    hosts = {host for host, _ in found}
    return {
        index if len(hosts) == 1 else f"{host}/{index}": Gpu(
            own, {told.ours: told_of[told] for told in reversed(FIELDS) if told in told_of}
        )
        for (host, index), (own, told_of) in found.items()
    }


def _is_told(told: Told, labels: Mapping[str, str], value: float) -> bool:
    most = _LARGEST if told.ours == "energy_j" else _BLANK
    of_label = told.label is None or labels.get(told.label[0]) == told.label[1]
    return of_label and math.isfinite(value) and 0 <= value < most


class Exporter:
    """A row for each GPU of the page."""

    every_s: ClassVar[float] = 1.0
    may_wait: ClassVar[bool] = True

    def __init__(self, *, url: str, labels: Mapping[str, str]) -> None:
        self._page = Page(url)
        self._labels = labels
        self.missing: dict[str, str] = {}

    def rows(self) -> Iterator[Row]:
        """One row a GPU, all with the stamp of the middle between question and answer."""
        try:
            asked_s, took_s, text = self._page.read()
        except FAULTS as error:
            self.missing["page"] = f"{self._page.path}: {error or type(error).__name__}"
            return
        for device, gpu in gpus_on(text, labels=self._labels).items():
            wanted = dict.fromkeys(told.ours for told in FIELDS)
            self.missing |= {
                f"{device}.{name}": "the exporter does not tell it" for name in wanted if name not in gpu.values
            }
            yield Row(asked_s + took_s / 2, device, gpu.values)


def exporter_facts(url: str, *, labels: Mapping[str, str]) -> dict[str, Any]:
    """`gpus` for host.json, by the exporter's labels; RunFailedError where it tells of none."""
    try:
        _, _, text = Page(url).read()
    except FAULTS as error:
        raise RunFailedError(f"--gpu-metrics {url}: {error or type(error).__name__}") from None
    found = gpus_on(text, labels=labels)
    if not found:
        raise RunFailedError(f"--gpu-metrics {url}: {_why_none(text, labels)}")
    return {
        "gpus": [_facts(index, gpu) for index, gpu in found.items()],
        "gpus_from": one_line(url),
        "driver": next(iter(found.values())).label("DCGM_FI_DRIVER_VERSION", "driver_version"),
        "cuda": None,
    }


def _facts(index: str, gpu: Gpu) -> dict[str, Any]:
    uuid = gpu.label("UUID", "gpu_uuid", "serial_number")
    return {
        "index": index,
        "name": gpu.label("modelName", "card_model"),
        "uuid_sha256": None if uuid is None else hashlib.sha256(uuid.encode()).hexdigest()[:UUID_DIGITS],
        "pod": gpu.label("pod", "exported_pod"),
        "power_limit_w": gpu.values.get("power_limit_w"),
    }


def _why_none(text: str, labels: Mapping[str, str]) -> str:
    every = gpus_on(text, labels={})
    if not every:
        return "no figure of a GPU that is known here; a DCGM exporter or AMD's is wanted, such as http://node:9400/metrics"
    name = next(
        (name for name, value in labels.items() if all(gpu.labels.get(name) != value for gpu in every.values())), None
    )
    if name is None:
        return "no GPU has all of these labels"
    known = sorted({one_line(gpu.labels[name], limit=LONGEST_LABEL) for gpu in every.values() if name in gpu.labels})
    return f"no GPU has {name}={labels[name]}; it has {', '.join(known) or f'no label {name}'}"
