"""llm-d Benchmark Reports of version 0.2 (JSON or YAML): one stage of one load generator, so one level a file."""

from collections.abc import Sequence
from typing import Any, Final

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.exchange import aiperf, inference_perf, vllm
from breakeven.exchange.document import Node, divided, scaled
from breakeven.exchange.imported import (
    DEFINITIONS,
    NO_INTERVALS,
    OF_WHOLE_RUN,
    WHOLE_RUN,
    Imported,
    Importer,
    Origin,
    gpu_of,
    imported,
)
from breakeven.exchange.spread import as_told, quoted
from breakeven.metrics.definitions import METRICS, RATES
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "llmd-report"
VERSION: Final = "0.2"
OURS: Final = "breakeven"
"""The load generator of a report that we wrote, and its own part of `results.observability`."""
LATENCIES: Final = {
    "ttft_s": ("time_to_first_token", "s"),
    "tpot_s": ("time_per_output_token", "s/token"),
    "itl_s": ("inter_token_latency", "s/token"),
    "e2e_s": ("request_latency", "s"),
}
"""Our metric -> the report's name of it and the unit that we write."""
RATE_FIELDS: Final = {
    "output_tok_per_s": ("output_token_rate", "tokens/s"),
    "total_tok_per_s": ("total_token_rate", "tokens/s"),
    "req_per_s": ("request_rate", "queries/s"),
}
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
_UNITS_S: Final = {"s": 1.0, "ms": 1e-3, "s/token": 1.0, "ms/token": 1e-3}
_TPOT_AS_ITL: Final = ("aiperf", "guidellm")
"""Their inter_token_latency is one value a request, (last - first token) / (tokens - 1): our TPOT."""
_ITL_TOO: Final = (OURS, "vllm-benchmark", "inferencemax")
"""Theirs is the gap between neighbouring chunks, pooled."""
_DEFINED: Final = {
    OURS: {name: METRICS[name].formula for name in LATENCIES} | {name: RATES[name].formula for name in RATE_FIELDS},
    "vllm-benchmark": vllm.OWN,
    "inferencemax": vllm.OWN,
    "aiperf": {"tpot_s": aiperf.OWN["tpot_s"]},
    "inference-perf": inference_perf.OWN,
}
"""Load generator -> its own definitions, where they are not everybody's."""
_FROM_US: Final = Caution(
    id="imported",
    seen="read from a Benchmark Report of this program, which holds no intervals",
    advice="take the run folder it was written from where they matter",
)


def recognise(document: Any) -> bool:
    """A Benchmark Report of any version: who ran it, what was run, and what came out."""
    return isinstance(document, dict) and {"version", "run", "scenario"} <= set(document)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is the concurrency, else the rate. UsageError for another version than 0.2."""
    node = Node(document, place=where)
    version = str(node.fields["version"])
    if version != VERSION and not version.startswith(f"{VERSION}."):
        raise UsageError(f"{where}.version: a Benchmark Report of version {VERSION} was expected, not '{version[:20]}'")
    load = node.node("scenario").node("load").node("standardized")
    by = load.text("tool") or "unknown"
    level, notes = _level(node, load, by=by)
    engines = [one for one in node.node("scenario").nodes("stack") if _is_engine(one.node("standardized"))]
    stack = [one.node("standardized") for one in engines]
    first = stack[0] if stack else Node({}, place=where)
    host, more = _host(stack)
    origin = Origin(
        tool=TOOL,
        where=where,
        version=version,
        definitions=DEFINITIONS | _DEFINED.get(by, {}),
        notes=(f"Measured by {by} {load.text('tool_version') or ''}".rstrip() + ".", *notes, *more),
    )
    return [
        imported(
            [level],
            origin=origin,
            model=first.node("model").text("name") or None,
            started=_started(node),
            engine={"name": first.text("tool") or None, "version": first.text("tool_version") or None},
            host=host,
            workload=_lengths(node, load),
        )
    ]


def _is_engine(component: Node) -> bool:
    return component.text("kind") == "inference_engine" or component.has("model")


def _started(node: Node) -> str | None:
    return node.node("run").node("time").text("start")


def _host(stack: Sequence[Node]) -> tuple[dict[str, Any], list[str]]:
    """The GPUs of all engines together; none where they are of several kinds."""
    cards = [one.node("accelerator") for one in stack if one.node("accelerator").text("model")]
    names = {card.text("model") or "" for card in cards}
    if len(names) != 1:
        return {}, [f"The engines run on several kinds of GPUs: {', '.join(sorted(names))}."] if names else []
    [name] = names
    gpu, notes = gpu_of(name)
    count = sum(
        (one.node("accelerator").whole("count") or 0) * (one.whole("replicas", least=1) or 1)
        for one in stack
        if one.node("accelerator").text("model")
    )
    return {"gpu": gpu, "gpu_name": name, "gpu_count": count or None}, notes


def _lengths(node: Node, load: Node) -> dict[str, float | None]:
    """Mean tokens of the requests; else what the load was told to send, where 0 is a writer's word for not known."""
    requests = _aggregate(node).node("requests")
    return {
        f"{name}_tokens": requests.node(f"{name}_length").number("mean")
        or load.node(f"{name}_seq_len").number("value")
        or None
        for name in ("input", "output")
    }


def _aggregate(node: Node) -> Node:
    return node.node("results").node("request_performance").node("aggregate")


def _level(node: Node, load: Node, *, by: str) -> tuple[LevelSummary, list[str]]:
    told = _aggregate(node)
    if not told.fields:
        raise UsageError(f"{told.place}: missing, so that the report tells nothing of requests")
    users, rate, notes = _load(load)
    requests, rates = told.node("requests"), told.node("throughput")
    errors, cut = requests.whole("failures") or 0, requests.whole("incomplete") or 0
    answers = max((requests.whole("total") or 0) - errors - cut, 0)
    own = node.node("results").node("observability").node(OURS) if by == OURS else Node({}, place=node.place)
    rated: dict[str, Any] = {
        name: Estimate(value=rates.node(theirs).number("mean")) for name, (theirs, _) in RATE_FIELDS.items()
    }
    level = LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="done",
        window_s=divided(answers, rates.node("request_rate").number("mean")),
        requests=answers,
        errors=errors,
        cut=cut,
        input_tokens=_total(requests.node("input_length"), answers),
        output_tokens=_total(requests.node("output_length"), answers),
        **rated,
        distributions=_distributions(told.node("latency"), own, by=by, n=answers),
        cautions=(_FROM_US if by == OURS else WHOLE_RUN,),
    )
    return level, [*notes, *_notes(by)]


def _total(length: Node, answers: int) -> int | None:
    mean = length.number("mean")
    return None if mean is None else round(mean * answers)


def _load(load: Node) -> tuple[int | None, float | None, list[str]]:
    rate = load.number("rate_qps")
    users = load.whole("concurrency", least=1)
    if rate:
        return None, rate, []
    if users is not None:
        return users, None, []
    return None, None, ["The report names neither a concurrency nor a rate: the level has neither."]


def _notes(by: str) -> list[str]:
    if by == OURS:
        return ["Figures are those of the steady window. Intervals are not in the report."]
    left = [] if by in _ITL_TOO else ["Left out: inter_token_latency, which is not everywhere the gap between chunks."]
    own = ["The tool's inter_token_latency is our TPOT."] if by in _TPOT_AS_ITL else left
    return [*own, NO_INTERVALS, OF_WHOLE_RUN]


def _distributions(latency: Node, own: Node, *, by: str, n: int) -> dict[str, Distribution]:
    names = {ours: theirs for ours, (theirs, _) in LATENCIES.items()}
    if by in _TPOT_AS_ITL:
        names["tpot_s"] = names["itl_s"]
    if by not in _ITL_TOO:
        del names["itl_s"]
    found = {
        ours: _statistics((own if own.has(theirs) else latency).node(theirs), n=n, whole=by == OURS)
        for ours, theirs in names.items()
    }
    return found | {"tok_per_s_per_user": inverted(found["tpot_s"])}


def _statistics(block: Node, *, n: int, whole: bool) -> Distribution:
    """In seconds. We leave out ourselves what so few requests cannot tell, so ours are kept as they are."""
    if not block.fields:
        return as_told(0)
    unit = block.text("units") or "s"
    if unit not in _UNITS_S:
        raise UsageError(f"{block.place}.units: a time was expected in {', '.join(_UNITS_S)}, not '{unit}'")
    figures = {name: scaled(block.number(name), _UNITS_S[unit]) for name in STATISTICS}
    return as_told(n, **figures) if whole else quoted(n, **figures)


IMPORTER: Final = Importer(recognise, read)
