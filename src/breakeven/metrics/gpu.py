"""What the GPUs did while the window was open: the energy of the boards first of all."""

from typing import Any, Final

from breakeven.metrics.series import (
    Figure,
    Missing,
    Samples,
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


def gpu_figures(samples: Samples, window: Span, *, output_tokens: int | None) -> dict[str, Any]:
    """Energy, power and state of the boards over the window; `gpus` holds the same for each GPU.

    gpu_board_energy_j = sum over GPUs of the increase of NVML's energy counter, between samples where a border falls
    between them; without a counter, of the integral of its power readings. `gpu_board_energy_from` says which.
    It is the board's energy, not the wall's: no host, no power supply, no cooling.
    """
    boards = [_board(samples, window, device) for device in samples.devices("nvml")]
    energy_j = total([energy_j for energy_j, _ in boards], otherwise=samples.why("nvml"))
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


def _board(samples: Samples, window: Span, device: str) -> tuple[Figure, dict[str, Any]]:
    """Energy of one GPU's board, and all that is told of it."""
    energy_j, energy_from = _energy(samples, window, device)
    found: dict[str, Any] = {"index": device} | ({"energy_from": energy_from} if energy_from else {})
    put(found, "energy_j", energy_j)
    put(found, "power_mean_w", ratio(energy_j, window.length_s))
    for name, source, figure in (
        ("power_limit_w", "power_limit_w", largest),
        ("default_power_limit_w", "default_power_limit_w", largest),
        ("sm_clock_mean_mhz", "sm_clock_mhz", mean),
        ("memory_clock_mean_mhz", "memory_clock_mhz", mean),
        ("temperature_max_c", "temperature_c", largest),
        ("memory_used_max_bytes", "memory_used_bytes", largest),
        ("utilisation_mean_share", "utilisation_share", mean),
        ("compute_processes_max", "compute_processes", largest),
    ):
        put(found, name, over(samples.of("nvml", source, device=device), window, figure))
    return energy_j, found | _throttling(samples, window, device)


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


def _throttling(samples: Samples, window: Span, device: str) -> dict[str, Any]:
    """Share of the window for each reason that was seen."""
    series = samples.of("nvml", "throttle_bits", device=device)
    if isinstance(series, Missing):
        return {"throttle_share": None, "throttle_share_reason": series.reason}
    shares = {name: bit_share(series, window, bits=bits) for name, bits in THROTTLE.items()}
    none = next((share for share in shares.values() if isinstance(share, Missing)), None)
    if none is not None:
        return {"throttle_share": None, "throttle_share_reason": none.reason}
    return {"throttle_share": {name: share for name, share in shares.items() if share}}
