"""guidellm results (report JSON of 0.8, of 0.4 and 0.5, and of the versions before): one level a benchmark."""

from typing import Any, Final

from breakeven.exchange.document import Node, scaled
from breakeven.exchange.imported import (
    DEFINITIONS,
    OF_WHOLE_RUN,
    WHOLE_RUN,
    Imported,
    Importer,
    Origin,
    imported,
    safe_url,
)
from breakeven.exchange.spread import mean_speed, quoted
from breakeven.metrics.statistics import distribution, inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "guidellm"
_NOTES: Final = (
    "Left out: time_per_output_token_ms, because it contains the first token.",
    "The tool's inter_token_latency_ms, (last - first token) / (tokens - 1), is our TPOT.",
    "Left out: ITL, because the file holds no gaps between chunks.",
    OF_WHOLE_RUN,
)
_WEIGHTED: Final = (
    "The file has no single requests: percentiles are the tool's own, without intervals; TPOT weights a request by its "
    "tokens."
)
_DETAIL: Final = "Percentiles were calculated from the requests in the file, with intervals."


_KEYS: Final = ({"config", "metrics", "scheduler_state"}, {"args", "metrics", "run_stats"})
"""Of a benchmark since 0.4, and before."""


def recognise(document: Any) -> bool:
    """A guidellm report: `benchmarks`, each with its settings, a scheduler's state and metrics."""
    if not isinstance(document, dict) or not isinstance(document.get("benchmarks"), list):
        return False
    return all(isinstance(one, dict) and any(keys <= set(one) for keys in _KEYS) for one in document["benchmarks"])


def read(document: Any, *, where: str) -> list[Imported]:
    """One run with a level for every benchmark of the report."""
    node = Node(document, place=where)
    empty = Node({}, place=where)
    found = [_level(benchmark) for benchmark in node.nodes("benchmarks")]
    backend = next((one.node("config").node("backend") for one in node.nodes("benchmarks")), empty)
    worker = next((one.node("worker") for one in node.nodes("benchmarks")), empty)
    notes = dict.fromkeys((*_NOTES, *(note for _, more in found for note in more)))
    origin = Origin(
        tool=TOOL,
        where=where,
        version=node.node("metadata").text("guidellm_version"),
        definitions=DEFINITIONS,
        notes=tuple(notes),
    )
    first = next((one.node("metrics") for one in node.nodes("benchmarks")), empty)
    lengths = {
        "input_tokens": _successful(first, "prompt_token_count").number("mean"),
        "output_tokens": _successful(first, "output_token_count").number("mean"),
    }
    url = backend.text("target") or worker.text("backend_target")
    engine = {"url": safe_url(url), "api": backend.text("request_format")}
    model = backend.text("model") or worker.text("backend_model")
    levels = [level for level, _ in found]
    return [imported(levels, origin=origin, model=model, engine=engine, workload=lengths)]


def _level(node: Node) -> tuple[LevelSummary, list[str]]:
    metrics, totals = node.node("metrics"), _totals(node)
    users, rate, notes = _load(node.node("config" if node.has("config") else "args").node("strategy"))
    distributions, how = _distributions(node)
    return LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="done",
        window_s=node.number("duration"),
        requests=totals.whole("successful") or 0,
        errors=totals.whole("errored") or 0,
        cut=totals.whole("incomplete") or 0,
        input_tokens=_total(metrics, "prompt_token_count"),
        output_tokens=_total(metrics, "output_token_count"),
        output_tok_per_s=Estimate(value=_successful(metrics, "output_tokens_per_second").number("mean")),
        total_tok_per_s=Estimate(value=_successful(metrics, "tokens_per_second").number("mean")),
        req_per_s=Estimate(value=_successful(metrics, "requests_per_second").number("mean")),
        cautions=(WHOLE_RUN,),
        distributions=distributions,
    ), [*notes, how]


def _totals(node: Node) -> Node:
    """Under the metrics since 0.4, beside them before."""
    metrics = node.node("metrics")
    return (metrics if metrics.has("request_totals") else node).node("request_totals")


def _load(strategy: Node) -> tuple[int | None, float | None, list[str]]:
    kind = strategy.text("type_")
    if kind == "synchronous":
        return 1, None, []
    if kind == "concurrent":
        return strategy.whole("streams", least=1), None, []
    rate = strategy.number("rate")
    if rate is not None:
        return None, rate, []
    return None, None, [f"A benchmark of strategy {kind} has neither users nor a rate."]


def _successful(metrics: Node, name: str) -> Node:
    return metrics.node(name).node("successful")


def _total(metrics: Node, name: str) -> int | None:
    total = _successful(metrics, name).number("total_sum")
    return None if total is None else round(total)


def _distributions(node: Node) -> tuple[dict[str, Distribution], str]:
    requests = list(node.node("requests").nodes("successful"))
    whole = _totals(node).whole("successful")
    if requests and len(requests) == whole:
        detail = _from_detail(requests)
        if detail["e2e_s"].n:
            return detail, _DETAIL
    metrics = node.node("metrics")
    tpot = _quoted(metrics, "inter_token_latency_ms", n=whole or 0, unit_s=1e-3)
    return {
        "ttft_s": _quoted(metrics, "time_to_first_token_ms", n=whole or 0, unit_s=1e-3),
        "tpot_s": tpot,
        "e2e_s": _quoted(metrics, "request_latency", n=whole or 0, unit_s=1.0),
        "tok_per_s_per_user": inverted(tpot),
    }, _WEIGHTED


def _quoted(metrics: Node, name: str, *, n: int, unit_s: float) -> Distribution:
    block = _successful(metrics, name)
    percentiles = block.node("percentiles")
    known = {key: percentiles.number(key) for key in ("p50", "p90", "p95", "p99")}
    known["p50"] = block.number("median") if known["p50"] is None else known["p50"]
    figures = {key: scaled(value, unit_s) for key, value in known.items()}
    return quoted(n, mean=scaled(block.number("mean"), unit_s), **figures)


def _from_detail(requests: list[Node]) -> dict[str, Distribution]:
    """From each request's own stamps: sent, first token, last token; its request_latency ends later."""
    ttft, tpot, e2e = [], [], []
    for request in requests:
        stamps = request.node("info").node("timings") if request.has("info") else request
        sent, first, last = (_stamp(stamps, names) for names in _STAMPS)
        tokens = request.whole("output_tokens")
        if sent is None or first is None or last is None:
            continue
        ttft.append(first - sent)
        e2e.append(last - sent)
        if tokens is not None and tokens > 1:
            tpot.append((last - first) / (tokens - 1))
    per_token = distribution(tpot)
    return {
        "ttft_s": distribution(ttft),
        "tpot_s": per_token,
        "e2e_s": distribution(e2e),
        "tok_per_s_per_user": inverted(per_token, mean=mean_speed(tpot)),
    }


_STAMPS: Final = (
    ("request_start", "start_time"),
    ("first_output_token_iteration", "first_token_iteration", "first_token_time"),
    ("last_token_iteration", "last_token_time"),
)
"""Sent, first token, last token: their names now, in 0.4 and 0.5 (the second of three), and before 0.4."""


def _stamp(stamps: Node, names: tuple[str, ...]) -> float | None:
    return next((value for name in names if (value := stamps.number(name)) is not None), None)


IMPORTER: Final = Importer(recognise, read)
