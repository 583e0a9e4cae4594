"""What the machine and the engine did while the window was open: CPU energy and load, memory, the engine's gauges."""

from typing import Any, Final

import numpy as np

from breakeven.errors import UsageError, one_line
from breakeven.metrics.gpu import tok_per_j
from breakeven.metrics.series import (
    Figure,
    Missing,
    Samples,
    Series,
    Span,
    increase,
    largest,
    mean,
    over,
    put,
    ratio,
    total,
)

COMPANY_CORES: Final = 0.10
"""What a process beside client and engine may take of a core unsaid."""
LONGEST_NAME: Final = 40
LATE_LOOK_S: Final = 5.0


def cpu_package_figures(samples: Samples, window: Span, *, output_tokens: int | None) -> dict[str, Any]:
    """Energy of the CPU packages by RAPL: cores, caches and uncore of all sockets, without memory and board."""
    found: dict[str, Any] = {}
    energy_j = _package_energy_j(samples, window)
    put(found, "cpu_package_energy_j", energy_j)
    put(found, "cpu_package_power_mean_w", ratio(energy_j, window.length_s))
    put(found, "cpu_package_tok_per_j", tok_per_j(output_tokens, energy_j))
    return found


def _package_energy_j(samples: Samples, window: Span) -> Figure:
    packages = [samples.of("rapl", "energy_j", device=name) for name in samples.devices("rapl")]
    return total([over(package, window, increase) for package in packages], otherwise=samples.why("rapl"))


def host_figures(samples: Samples, window: Span) -> dict[str, Any]:
    """Load of the client's machine: busy and stolen core-seconds / all core-seconds, and the most memory in use.

    `sampler_cpu_share` is what telemetry itself used, of one core.
    """
    spent = {
        name: over(samples.of("host", name), window, increase)
        for name in ("cpu_busy_s", "cpu_steal_s", "cpu_total_s", "sampler_cpu_s")
    }
    found: dict[str, Any] = {}
    put(found, "host_cpu_busy_share", ratio(spent["cpu_busy_s"], spent["cpu_total_s"]))
    put(found, "host_cpu_steal_share", ratio(spent["cpu_steal_s"], spent["cpu_total_s"]))
    put(found, "host_memory_used_max_bytes", over(samples.of("host", "memory_used_bytes"), window, largest))
    put(found, "sampler_cpu_share", ratio(spent["sampler_cpu_s"], window.length_s))
    return found


def company_figures(samples: Samples, window: Span) -> dict[str, Any]:
    """Cores that processes beside client and engine kept busy, and `company`: name and cores of those above 0.1.

    None with the reason where nobody looked: other systems than Linux, or an engine that cannot be told from others.
    """
    found: dict[str, Any] = {}
    others = over(samples.of("company", "others_cpu_s"), window, _spent_s)
    put(found, "company_cores", ratio(others, window.length_s))
    if isinstance(others, Missing):
        return found | {"company": None, "company_reason": found["company_cores_reason"]}
    each = {name: samples.of("company", "cpu_s", device=name) for name in samples.devices("company")}
    cores = {
        one_line(name, limit=LONGEST_NAME): _grown(series, window) / window.length_s
        for name, series in each.items()
        if not isinstance(series, Missing)
    }
    busy = sorted(((share, name) for name, share in cores.items() if share > COMPANY_CORES), reverse=True)
    return found | {"company": [{"name": name, "cores": share} for share, name in busy]}


def _spent_s(series: Series, window: Span) -> Figure:
    """Core-seconds of all others inside the window; a look may be some seconds late where processes are many."""
    if series.at_s[0] > window.open_s or series.at_s[-1] < window.close_s - LATE_LOOK_S:
        return Missing("the samples do not reach both ends of the window")
    return _grown(series, window)


def _grown(series: Series, window: Span) -> float:
    """How much a counter grew; before it was first told of, and after the last look, it stands still."""
    first, last = np.interp(window, series.at_s, series.values)
    return float(last - first)


def engine_figures(samples: Samples, window: Span) -> dict[str, Any]:
    """The engine's own gauges over the window."""
    found: dict[str, Any] = {}
    for name, source, figure in (
        ("engine_running_mean_requests", "running_requests", mean),
        ("engine_waiting_mean_requests", "waiting_requests", mean),
        ("engine_kv_use_max_share", "kv_use_share", largest),
        ("engine_preemptions", "preemptions", _counted),
    ):
        put(found, name, over(samples.of("engine", source), window, figure))
    return found | _cache_figures(samples, window) | _draft_figures(samples, window)


def _cache_figures(samples: Samples, window: Span) -> dict[str, Any]:
    """engine_cache_hit_share = prompt tokens that the prefix cache had / those that it was asked for."""
    found: dict[str, Any] = {}
    hits, asked = (
        over(samples.of("engine", name), window, _counted) for name in ("cache_hit_tokens", "cache_asked_tokens")
    )
    put(found, "engine_cache_hit_share", ratio(hits, asked))
    return found


def _draft_figures(samples: Samples, window: Span) -> dict[str, Any]:
    """Speculation: what a step gives, and how much of the drafts is kept; nothing at all where no draft was made.

    engine_accept_length = 1 + accepted tokens / drafts, else the mean of the engine's own gauge;
    engine_accept_share = accepted tokens / drafted tokens.
    """
    drafts, drafted, accepted = (
        over(samples.of("engine", name), window, _counted) for name in ("drafts", "drafted_tokens", "accepted_tokens")
    )
    if not isinstance(accepted, Missing) and not isinstance(drafts, Missing) and drafts > 0:
        found: dict[str, Any] = {"engine_accept_length": 1 + accepted / drafts}
        put(found, "engine_accept_share", ratio(accepted, drafted))
        return found
    gauge = over(samples.of("engine", "accept_length"), window, mean)
    return {} if isinstance(gauge, Missing) or gauge <= 0 else {"engine_accept_length": gauge}


def _counted(series: Series, window: Span) -> Figure:
    """Of a counter of events: from the first reading inside the window to the last one, so that it is whole."""
    inside = series.within(window).values
    if len(inside) < 2:
        return Missing("fewer than two readings inside the window")
    return float(inside[-1] - inside[0]) if inside[-1] >= inside[0] else Missing("the counter was started again")


def declared_energy(*, declared_w: float, source: str, window_s: float, output_tokens: int | None) -> dict[str, Any]:
    """Energy of an engine that cannot be measured, from watts that a person declares: watts x length of the window.

    `source` says where the watts come from. These figures have names of their own and never pass for measured ones.
    """
    if not declared_w > 0:
        raise UsageError(f"watts: {declared_w:g} W is no power; declare what the engine's machine draws under load")
    if not source.strip():
        raise UsageError("watts: say where they come from, such as 'data sheet' or 'meter at the wall, 2026-11-02'")
    found: dict[str, Any] = {"declared_w": declared_w, "declared_w_from": one_line(source)}
    put(found, "declared_energy_j", declared_w * window_s)
    put(found, "declared_tok_per_j", tok_per_j(output_tokens, declared_w * window_s))
    return found
