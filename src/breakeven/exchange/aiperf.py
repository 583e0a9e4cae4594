"""AIPerf results (profile_export_aiperf.json), and those of GenAI-Perf before it: one level a file."""

from typing import Any, Final

from breakeven.errors import UsageError, one_line
from breakeven.exchange.document import Node
from breakeven.exchange.imported import (
    DEFINITIONS,
    NO_INTERVALS,
    OF_WHOLE_RUN,
    WHOLE_RUN,
    Imported,
    Importer,
    Origin,
    imported,
    safe_url,
)
from breakeven.exchange.spread import quoted
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "aiperf"
_BEFORE: Final = "genai-perf"
_TOLD_BY: Final = ("request_throughput", "error_request_count")
"""Where every request failed the second stands alone."""
OWN: Final = {
    "tpot_s": "the tool's inter_token_latency: (latency - TTFT) / (output tokens - 1), one value a request",
    "itl_s": "the tool's inter_chunk_latency: gap between neighbouring chunks, pooled",
}
_NOTES: Final = (
    "The tool's inter_token_latency is our TPOT, and its inter_chunk_latency is our ITL.",
    NO_INTERVALS,
    OF_WHOLE_RUN,
)
_UNITS_S: Final = {"ms": 1e-3, "sec": 1.0, "s": 1.0, "us": 1e-6, "ns": 1e-9}


def recognise(document: Any) -> bool:
    """An AIPerf export: metrics as objects with a unit, and the configuration beside them."""
    if not isinstance(document, dict) or not isinstance(document.get("input_config"), dict):
        return False
    return any(isinstance(document.get(key), dict) and "unit" in document[key] for key in _TOLD_BY)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is the concurrency of the profiling phase, in GenAI-Perf that of the stimulus."""
    node = Node(document, place=where)
    level, notes = _level(node)
    config = node.node("input_config")
    origin = Origin(
        tool=_BEFORE if config.has("perf_analyzer") else TOOL,
        where=where,
        version=node.text("aiperf_version"),
        definitions=DEFINITIONS | OWN,
        notes=(*_NOTES, *notes),
    )
    endpoint = config.node("endpoint")
    urls = endpoint.items("urls") or [endpoint.fields.get("url")]
    names = [model.text("name") for model in config.node("models").nodes("items")] or config.items("model_names")
    return [
        imported(
            [level],
            origin=origin,
            model=one_line(names[0], limit=200) if names and isinstance(names[0], str) else None,
            started=node.text("start_time"),
            engine={
                "url": safe_url(urls[0]) if isinstance(urls[0], str) else None,
                "api": endpoint.text("type"),
            },
            workload={
                "input_tokens": node.node("input_sequence_length").number("avg"),
                "output_tokens": node.node("output_sequence_length").number("avg"),
            },
        )
    ]


def _level(node: Node) -> tuple[LevelSummary, list[str]]:
    users, rate, notes = _load(node.node("input_config"))
    n = _count(node, "request_count") or 0
    tpot = _quoted(node, "inter_token_latency", n=n)
    return LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="interrupted" if node.fields.get("was_cancelled") is True else "done",
        window_s=_seconds(node.node("benchmark_duration"), "avg"),
        requests=n,
        errors=_count(node, "error_request_count") or 0,
        input_tokens=_count(node, "total_isl"),
        output_tokens=_count(node, "total_osl"),
        output_tok_per_s=Estimate(value=node.node("output_token_throughput").number("avg")),
        total_tok_per_s=Estimate(value=node.node("total_token_throughput").number("avg")),
        req_per_s=Estimate(value=node.node("request_throughput").number("avg")),
        distributions={
            "ttft_s": _quoted(node, "time_to_first_token", n=n),
            "tpot_s": tpot,
            "itl_s": _quoted(node, "inter_chunk_latency", n=_count_of(node.node("inter_chunk_latency"))),
            "e2e_s": _quoted(node, "request_latency", n=n),
            "tok_per_s_per_user": inverted(tpot, mean=node.node("output_token_throughput_per_user").number("avg")),
        },
        cautions=(WHOLE_RUN,),
    ), notes


def _load(config: Node) -> tuple[int | None, float | None, list[str]]:
    phases = [phase for phase in config.nodes("phases") if _is_measured(phase)]
    stimulus = config.node("perf_analyzer").node("stimulus")
    load = phases[0] if phases else stimulus if stimulus.fields else config.node("loadgen")
    rate = load.number("rate" if phases else "request_rate")
    if rate is not None:
        return None, rate, []
    users = load.whole("concurrency", least=1)
    if users is not None:
        return users, None, []
    return None, None, ["The file names neither a concurrency nor a request rate: the level has neither."]


def _is_measured(phase: Node) -> bool:
    """Version 0.10 names its phases and gives them no kind."""
    named = phase.text("kind") or phase.text("name")
    return named == "profiling" and phase.fields.get("exclude_from_results") is not True


def _count(node: Node, name: str) -> int | None:
    value = node.node(name).number("avg")
    return None if value is None else round(value)


def _count_of(block: Node) -> int:
    return block.whole("count") or 0


def _seconds(block: Node, name: str) -> float | None:
    value = block.number(name)
    if value is None:
        return None
    unit = block.text("unit")
    if unit not in _UNITS_S:
        raise UsageError(f"{block.place}.unit: a time was expected in {', '.join(_UNITS_S)}, not '{unit}'")
    return value * _UNITS_S[unit]


def _quoted(node: Node, name: str, *, n: int) -> Distribution:
    block = node.node(name)
    return quoted(n, mean=_seconds(block, "avg"), **{key: _seconds(block, key) for key in ("p50", "p90", "p95", "p99")})


IMPORTER: Final = Importer(recognise, read)
