"""genai-bench results (one JSON file for each scenario and concurrency)."""

from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange.document import Node, divided, scaled
from breakeven.exchange.imported import DEFINITIONS, OF_WHOLE_RUN, WHOLE_RUN, Imported, Importer, Origin, imported
from breakeven.exchange.spread import mean_speed, quoted
from breakeven.metrics.statistics import distribution, inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "genai-bench"
_OWN: Final = {
    "e2e_s": "request sent -> end of the stream, which is later than the last token",
    "tpot_s": "(end of the stream - first token) / (output tokens - 1), one value a request",
    "output_tok_per_s": "output tokens of the answers in the file / the whole run, its start and its end included",
}
_NOTES: Final = (
    "E2E and TPOT end with the stream, after the last token, so that both are a little longer than ours.",
    "Left out: ITL, because the file holds no gaps between chunks.",
    OF_WHOLE_RUN,
)
_AGGREGATE: Final = (
    "The file does not hold every request: figures are the tool's own, without intervals. Where it left warm-up "
    "requests out, its throughput divides fewer tokens by the whole time."
)
_DETAIL: Final = (
    "Percentiles and throughput were calculated from the requests in the file, warm-up and cool-down requests included."
)
_UNITS_S: Final = {"s": 1.0, "ms": 1e-3}


def recognise(document: Any) -> bool:
    """A genai-bench run file."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("aggregated_metrics"), dict)
        and "individual_request_metrics" in document
    )


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is num_concurrency."""
    node = Node(document, place=where)
    total = node.node("aggregated_metrics")
    level, note = _level(node)
    origin = Origin(tool=TOOL, where=where, definitions=DEFINITIONS | _OWN, notes=(*_NOTES, note))
    return [imported([level], origin=origin, workload={"name": total.text("scenario")})]


def _level(node: Node) -> tuple[LevelSummary, str]:
    total = node.node("aggregated_metrics")
    if total.text("iteration_type") == "batch_size":
        raise UsageError(f"{total.place}: an embedding run over batch sizes has no output tokens to compare")
    requests = [one for one in node.nodes("individual_request_metrics") if one.fields.get("error_code") is None]
    whole = bool(total.number("run_duration")) and len(requests) == total.whole("num_completed_requests")
    unit_s = _unit_s(node)
    measured = _from_requests(requests, total, unit_s=unit_s) if whole else _from_aggregates(total, unit_s=unit_s)
    return LevelSummary(
        users=total.whole("num_concurrency", least=1),
        status="done",
        window_s=total.number("run_duration"),
        requests=total.whole("num_completed_requests") or 0,
        errors=total.whole("num_error_requests") or 0,
        req_per_s=Estimate(value=_req_per_s(total)),
        cautions=(WHOLE_RUN,),
        **measured,
    ), _DETAIL if whole else _AGGREGATE


def _unit_s(node: Node) -> float:
    unit = node.text("_time_unit") or "s"
    if unit not in _UNITS_S:
        raise UsageError(f"{node.place}._time_unit: s or ms was expected, not '{unit}'")
    return _UNITS_S[unit]


def _req_per_s(total: Node) -> float | None:
    per_s = total.number("requests_per_second")
    return per_s if per_s is not None else divided(total.number("requests_per_minute"), 60.0)


def _from_requests(requests: list[Node], total: Node, *, unit_s: float) -> dict[str, Any]:
    duration_s = total.number("run_duration")
    output_tokens = _sum(requests, "num_output_tokens")
    input_tokens = _sum(requests, "num_input_tokens")
    tpot = _times(requests, "tpot", unit_s=unit_s)
    per_token = distribution(tpot)
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "output_tok_per_s": Estimate(value=divided(output_tokens, duration_s)),
        "total_tok_per_s": Estimate(value=divided(input_tokens + output_tokens, duration_s)),
        "distributions": {
            "ttft_s": distribution(_times(requests, "ttft", unit_s=unit_s)),
            "tpot_s": per_token,
            "e2e_s": distribution(_times(requests, "e2e_latency", unit_s=unit_s)),
            "tok_per_s_per_user": inverted(per_token, mean=mean_speed(tpot)),
        },
    }


def _sum(requests: list[Node], name: str) -> int:
    return sum(one.whole(name) or 0 for one in requests)


def _times(requests: list[Node], name: str, *, unit_s: float) -> list[float]:
    return [value * unit_s for one in requests if (value := one.number(name))]


def _from_aggregates(total: Node, *, unit_s: float) -> dict[str, Any]:
    n = total.whole("num_completed_requests") or 0
    stats = total.node("stats")
    tpot = _quoted(stats.node("tpot"), n=n, unit_s=unit_s)
    return {
        "output_tok_per_s": Estimate(value=total.number("mean_output_throughput_tokens_per_s")),
        "total_tok_per_s": Estimate(value=total.number("mean_total_tokens_throughput_tokens_per_s")),
        "distributions": {
            "ttft_s": _quoted(stats.node("ttft"), n=n, unit_s=unit_s),
            "tpot_s": tpot,
            "e2e_s": _quoted(stats.node("e2e_latency"), n=n, unit_s=unit_s),
            "tok_per_s_per_user": inverted(tpot),
        },
    }


def _quoted(block: Node, *, n: int, unit_s: float) -> Distribution:
    return quoted(n, **{key: scaled(block.number(key), unit_s) for key in ("mean", "p50", "p90", "p95", "p99")})


IMPORTER: Final = Importer(recognise, read)
