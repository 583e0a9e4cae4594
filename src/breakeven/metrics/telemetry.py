"""Telemetry in a level's summary: every figure over the steady window, and the cautions that follow from them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from breakeven.caution import Caution
from breakeven.metrics.enginecount import engine_count_figures
from breakeven.metrics.gpu import EXPORTED_POWER, POWER, gpu_figures
from breakeven.metrics.level import window_of
from breakeven.metrics.machine import company_figures, cpu_package_figures, engine_figures, host_figures
from breakeven.metrics.series import Samples, Span
from breakeven.metrics.summary import LevelSummary
from breakeven.record import LevelFacts, Record

THERMAL: Final = ("hw_slowdown", "sw_thermal", "hw_thermal")
POWER_CAPS: Final = ("sw_power_cap", "hw_power_brake")
CAP_SHARE: Final = 0.05
COUNT_SHARE: Final = 0.02
STEAL_SHARE: Final = 0.02
IDLE_SHARE: Final = 0.01
BUSY_SHARE: Final = 0.10
COVERED_SHARE: Final = 0.8
COUNTED: Final = ("engine_tokens", "engine_tokens_ours", "engine_tokens_difference", "engine_tokens_over_s")


def with_telemetry(
    level: LevelSummary, *, facts: LevelFacts, records: Sequence[Record], samples: Samples
) -> LevelSummary:
    """The level with telemetry's figures in `extra` and its cautions; as it was where there was no window."""
    figures = telemetry_figures(facts, records, samples=samples, output_tokens=level.output_tokens)
    return msgspec.structs.replace(
        level,
        extra={**level.extra, **figures},
        cautions=(*level.cautions, *telemetry_cautions(figures)),
    )


def telemetry_figures(
    facts: LevelFacts, records: Sequence[Record], *, samples: Samples, output_tokens: int | None
) -> dict[str, Any]:
    """All figures of docs/TELEMETRY.md for one level. One that is None has its reason beside it, as NAME_reason.

    `output_tokens` are those that arrived in the window. Empty where the level has no window.
    """
    steady = window_of(facts, records)
    if steady is None:
        return {}
    window = Span(steady.open_s, steady.close_s)
    return {
        **gpu_figures(samples, window, output_tokens=output_tokens),
        **cpu_package_figures(samples, window, output_tokens=output_tokens),
        **host_figures(samples, window),
        **company_figures(samples, window),
        **engine_figures(samples, window),
        **engine_count_figures(samples, window, records),
    }


def telemetry_cautions(figures: Mapping[str, Any]) -> tuple[Caution, ...]:
    """Reasons to doubt the level, out of what the machine did meanwhile."""
    gpus = figures.get("gpus", ())
    return (
        *(caution for gpu in gpus for caution in _of_gpu(gpu)),
        *_of_gpus(figures, gpus),
        *_of_exporter(figures, gpus),
        *_of_engine(figures),
        *_of_host(figures),
    )


def _of_gpu(gpu: Mapping[str, Any]) -> Iterator[Caution]:
    name, throttle = str(gpu["index"]), gpu.get("throttle_share") or {}
    hot = {reason: throttle[reason] for reason in THERMAL if reason in throttle}
    if hot:
        yield Caution(
            id="thermal_throttling",
            seen="GPU {gpu} slowed down ({shares:share} of the window) at up to {most_c:whole} °C",
            advice="cool it better and measure again; else the figure holds for this cooling only",
            values={"gpu": name, "shares": hot, "most_c": gpu.get("temperature_max_c")},
        )
    capped = {reason: throttle[reason] for reason in POWER_CAPS if throttle.get(reason, 0.0) > CAP_SHARE}
    if capped:
        yield Caution(
            id="power_cap",
            seen="GPU {gpu} ran at its power limit ({shares:share} of the window): {limit_w:whole} W, by default "
            "{usual_w:whole} W",
            advice="compare only with cards of the same power limit, or say the limit beside the figure",
            values={
                "gpu": name,
                "shares": capped,
                "limit_w": gpu.get("power_limit_w"),
                "usual_w": gpu.get("default_power_limit_w"),
            },
        )
    if (gpu.get("compute_processes_max") or 0) > 1:
        yield Caution(
            id="other_gpu_processes",
            seen="{processes:whole} processes computed on GPU {gpu}",
            advice="make sure that all of them belong to the engine (nvidia-smi), and measure again if not",
            values={"gpu": name, "processes": gpu["compute_processes_max"]},
        )


def _of_exporter(figures: Mapping[str, Any], gpus: Sequence[Mapping[str, Any]]) -> Iterator[Caution]:
    if EXPORTED_POWER in (figures.get("gpu_board_energy_from") or ""):
        yield Caution(
            id="energy_by_exported_power",
            seen="GPU energy is the mean of the exporter's power readings x the window, as it has no energy counter",
            advice="have the exporter tell DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION or gpu_energy_consumed",
        )
    least = min((gpu["energy_covered_share"] for gpu in gpus if gpu.get("energy_covered_share") is not None), default=1)
    if least < COVERED_SHARE:
        yield Caution(
            id="energy_gaps",
            seen="the exporter's energy counter covers {least:share} of the window, and stands for the rest of it",
            advice="measure longer, or have the exporter collect more often (dcgm-exporter -c 1000)",
            values={"least": least},
        )
    used = [gpu["utilisation_mean_share"] for gpu in gpus if gpu.get("utilisation_mean_share") is not None]
    if figures.get("gpu_board_energy_from") and used and max(used) < IDLE_SHARE:
        yield Caution(
            id="gpus_idle",
            seen="no GPU that was sampled did anything in the window: they are hardly those of the engine",
            advice="name the exporter of the engine's own node, and its GPUs by --gpu-label",
        )


def _of_gpus(figures: Mapping[str, Any], gpus: Sequence[Mapping[str, Any]]) -> Iterator[Caution]:
    if POWER in (figures.get("gpu_board_energy_from") or ""):
        yield Caution(
            id="energy_by_power",
            seen="GPU energy is the integral of ten power readings a second, as there is no energy counter; on some "
            "cards such readings see a part of the time only",
            advice="take the energy as a rough figure, or measure at the wall",
        )
    used = {
        str(gpu["index"]): gpu["utilisation_mean_share"]
        for gpu in gpus
        if gpu.get("utilisation_mean_share") is not None
    }
    idle = [index for index, share in used.items() if share < IDLE_SHARE]
    if idle and max(used.values()) > BUSY_SHARE:
        yield Caution(
            id="idle_gpus_counted",
            seen="GPU {idle} did nothing, and its energy is in the sum of the boards",
            advice="name the engine's GPUs by CUDA_VISIBLE_DEVICES, or read each GPU's energy under `gpus`",
            values={"idle": ", ".join(idle)},
        )


def _of_engine(figures: Mapping[str, Any]) -> Iterator[Caution]:
    preempted = figures.get("engine_preemptions")
    if preempted:
        yield Caution(
            id="preemptions",
            seen="the engine preempted requests {times:whole} times for want of key-value cache, and did work twice",
            advice="give it more memory or a smaller batch, or measure fewer users",
            values={"times": preempted},
        )
    unexplained, difference = figures.get("engine_tokens_unexplained"), figures.get("engine_tokens_difference")
    if unexplained is not None and difference is not None and unexplained > COUNT_SHARE:
        yield Caution(
            id="engine_counts_differ",
            seen="the engine counted {engine_tokens:whole} generated tokens where we counted "
            "{engine_tokens_ours:whole} ({engine_tokens_difference:change}) in {engine_tokens_over_s:one} s",
            advice="make sure that nobody else uses the engine, and that tokens are counted from its usage",
            values={name: figures[name] for name in COUNTED},
        )


def _of_host(figures: Mapping[str, Any]) -> Iterator[Caution]:
    company = figures.get("company")
    if company:
        yield Caution(
            id="company",
            seen="other processes were busy meanwhile, in parts of a core: {cores:share}",
            advice="end them and measure again, unless they are the engine's",
            values={"cores": {one["name"]: one["cores"] for one in company}},
        )
    stolen = figures.get("host_cpu_steal_share")
    if stolen is not None and stolen > STEAL_SHARE:
        yield Caution(
            id="cpu_stolen",
            seen="the hypervisor took {stolen:share} of this virtual machine's CPU time for others",
            advice="measure on a machine of its own, or repeat and look at the spread",
            values={"stolen": stolen},
        )
