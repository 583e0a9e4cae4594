"""What the GPUs did while the window was open: the energy of the boards first of all."""

from typing import Any, Final, Literal

import numpy as np

from breakeven.metrics.series import (
    Figure,
    Missing,
    Samples,
    Series,
    Span,
    bit_share,
    increase,
    integral,
    largest,
    mean,
    over,
    put,
    ratio,
    total,
)

THROTTLE: Final = {
    "sw_power_cap": 0x04,
    "hw_slowdown": 0x08,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
"""NVML's reasons for clocks below what the load asks for, as bits (nvml.h, nvmlClocksEventReasons). Idling, clocks that
were set by hand and display clocks are left out."""
COUNTER: Final = "counter"
POWER: Final = "power integral"
EXPORTER: Final = "counter of the exporter"
EXPORTED_POWER: Final = "mean power of the exporter"


def gpu_figures(samples: Samples, window: Span, *, output_tokens: int | None) -> dict[str, Any]:
    """Energy, power and state of the boards over the window; `gpus` holds the same for each GPU.

    gpu_board_energy_j = sum over GPUs of the increase of NVML's energy counter, between samples where a border falls
    between them; without a counter, of the integral of its power readings. `gpu_board_energy_from` says which.
    It is the board's energy, not the wall's: no host, no power supply, no cooling.
    """
    source = gpu_source(samples)
    boards = [_board(samples, window, device, source=source) for device in samples.devices(source)]
    energy_j = total([energy_j for energy_j, _ in boards], otherwise=samples.why(source))
    found: dict[str, Any] = {}
    put(found, "gpu_board_energy_j", energy_j)
    put(found, "gpu_board_power_mean_w", ratio(energy_j, window.length_s))
    put(found, "gpu_board_tok_per_j", tok_per_j(output_tokens, energy_j))
    if not isinstance(energy_j, Missing):
        found["gpu_board_energy_from"] = " and ".join(sorted({board["energy_from"] for _, board in boards}))
    return found | {"gpus": [board for _, board in boards]}


def tok_per_j(output_tokens: int | None, energy_j: Figure) -> Figure:
    """Output tokens that arrived in the window / joules of the window."""
    tokens: Figure = Missing("no tokens were counted") if output_tokens is None else float(output_tokens)
    return ratio(tokens, energy_j)


def gpu_source(samples: Samples) -> Literal["nvml", "exporter"]:
    """Who tells of the GPUs: their exporter where one was named, else this machine's driver."""
    named = "exporter" in samples.missing or any(source == "exporter" for source, _, _ in samples.series)
    return "exporter" if named or any(key.startswith("exporter.") for key in samples.missing) else "nvml"


def _board(samples: Samples, window: Span, device: str, *, source: str) -> tuple[Figure, dict[str, Any]]:
    """Energy of one GPU's board, and all that is told of it."""
    find = _exported_energy if source == "exporter" else _energy
    energy_j, energy_from = find(samples, window, device)
    found: dict[str, Any] = {"index": device} | ({"energy_from": energy_from} if energy_from else {})
    put(found, "energy_j", energy_j)
    put(found, "power_mean_w", ratio(energy_j, window.length_s))
    for name, told, figure in (
        ("power_limit_w", "power_limit_w", largest),
        ("default_power_limit_w", "default_power_limit_w", largest),
        ("sm_clock_mean_mhz", "sm_clock_mhz", mean),
        ("memory_clock_mean_mhz", "memory_clock_mhz", mean),
        ("temperature_mean_c", "temperature_c", mean),
        ("temperature_max_c", "temperature_c", largest),
        ("memory_used_max_bytes", "memory_used_bytes", largest),
        ("utilisation_mean_share", "utilisation_share", mean),
        ("compute_processes_max", "compute_processes", largest),
    ):
        put(found, name, over(samples.of(source, told, device=device), window, figure))
    if source == "exporter":
        put(found, "energy_covered_share", _covered(samples, window, device))
    return energy_j, found | _throttling(samples, window, device, source=source)


def _energy(samples: Samples, window: Span, device: str) -> tuple[Figure, str | None]:
    """Joules of one board and where they come from. A counter that stands still counts as none."""
    counted = over(samples.of("nvml", "energy_j", device=device), window, increase)
    if not isinstance(counted, Missing) and counted > 0:
        return counted, COUNTER
    summed = over(samples.of("nvml", "power_w", device=device), window, integral)
    if not isinstance(summed, Missing):
        return summed, POWER
    why = counted.reason if isinstance(counted, Missing) else "the energy counter stands still"
    return Missing(f"GPU {device}: {why}"), None


def _exported_energy(samples: Samples, window: Span, device: str) -> tuple[Figure, str | None]:
    """Joules of one board by its exporter, which renews its figures every 1 to 30 s only.

    energy = (last - first renewed reading of the counter inside the window) / time between them x length of the window;
    without a counter, mean of the power readings inside it x its length.
    """
    counted = over(samples.of("exporter", "energy_j", device=device), window, _rate)
    if not isinstance(counted, Missing):
        return counted * window.length_s, EXPORTER
    power_w = over(samples.of("exporter", "power_w", device=device), window, mean)
    has_counter = ("exporter", device, "energy_j") in samples.series
    if isinstance(power_w, Missing) or has_counter:
        return Missing(f"GPU {device}: {counted.reason}"), None
    return power_w * window.length_s, EXPORTED_POWER


def _renewed(series: Series, window: Span) -> Series:
    """The readings inside the window at which the value is another than at the one before."""
    is_new = np.diff(series.values, prepend=series.values[:1]) != 0
    return Series(series.at_s[is_new], series.values[is_new]).within(window)


def _rate(series: Series, window: Span) -> Figure:
    """Of a counter that is renewed now and then: its increase a second between renewals inside the window."""
    new = _renewed(series, window)
    if len(new.at_s) < 2:
        seen = "was not renewed" if not len(new.at_s) else "was renewed once"
        return Missing(f"the exporter's energy counter {seen} inside the window; measure longer")
    if np.any(np.diff(new.values) < 0):
        return Missing("the counter went back inside the window, so it was started again")
    return float((new.values[-1] - new.values[0]) / (new.at_s[-1] - new.at_s[0]))


def _covered(samples: Samples, window: Span, device: str) -> Figure:
    """Share of the window between the first and the last renewal of the energy counter inside it."""
    series = samples.of("exporter", "energy_j", device=device)
    if isinstance(series, Missing):
        return series
    at_s = _renewed(series, window).at_s
    return float(at_s[-1] - at_s[0]) / window.length_s if len(at_s) > 1 else Missing("fewer than two readings")


def _throttling(samples: Samples, window: Span, device: str, *, source: str) -> dict[str, Any]:
    """Share of the window for each reason that was seen."""
    series = samples.of(source, "throttle_bits", device=device)
    if isinstance(series, Missing):
        return {"throttle_share": None, "throttle_share_reason": series.reason}
    shares = {name: bit_share(series, window, bits=bits) for name, bits in THROTTLE.items()}
    none = next((share for share in shares.values() if isinstance(share, Missing)), None)
    if none is not None:
        return {"throttle_share": None, "throttle_share_reason": none.reason}
    return {"throttle_share": {name: share for name, share in shares.items() if share}}
