"""SGLang `bench_serving` results (a line of JSON a run), with or without --output-details."""

from typing import Any, Final

from breakeven.exchange.document import Node, divided
from breakeven.exchange.imported import DEFINITIONS, OF_WHOLE_RUN, WHOLE_RUN, Imported, Importer, Origin, imported
from breakeven.exchange.vllm import from_detail, load_of, told
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "sglang"
_KEYS: Final = ("backend", "request_rate", "duration", "completed", "output_throughput", "mean_e2e_latency_ms")
_OWN: Final = {
    "ttft_s": "request sent -> first chunk with text",
    "tpot_s": "(end of the stream - first token) / (output tokens - 1), one value a request",
    "e2e_s": "request sent -> end of the stream, which is later than the last token",
}
_OWN_DETAIL: Final = {"ttft_s": _OWN["ttft_s"]}
_NOTES: Final = (
    "Left out: ITL, because the tool's own backend spreads the gap before a chunk over the tokens of that chunk.",
    "Output tokens are the server's with the tool's own backend, else those that were asked for.",
    OF_WHOLE_RUN,
)
_NAMES: Final = {"ttft_s": "ttft", "tpot_s": "tpot", "e2e_s": "e2e_latency"}


def recognise(document: Any) -> bool:
    """A result of SGLang's `bench_serving`."""
    return isinstance(document, dict) and all(key in document for key in _KEYS)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is max_concurrency where requests were not paced, else the rate is what was offered."""
    node = Node(document, place=where)
    users, rate, notes = _load(node)
    is_detailed = node.has("ttfts", "itls", "output_lens")
    level = LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="done",
        stopped="requests",
        window_s=node.number("duration"),
        requests=node.whole("completed") or 0,
        errors=sum(1 for error in node.items("errors") if error),
        input_tokens=node.whole("total_input_tokens"),
        output_tokens=node.whole("total_output_tokens"),
        output_tok_per_s=Estimate(value=node.number("output_throughput")),
        total_tok_per_s=Estimate(value=node.number("total_throughput")),
        req_per_s=Estimate(value=node.number("request_throughput")),
        cautions=(WHOLE_RUN,),
        distributions=_detailed(node) if is_detailed else told(node, _NAMES, n=node.whole("completed") or 0),
    )
    lengths = {
        "input_tokens": divided(node.number("total_input_tokens"), node.number("completed")),
        "output_tokens": divided(node.number("total_output_tokens"), node.number("completed")),
    }
    origin = Origin(
        tool=TOOL,
        where=where,
        definitions=DEFINITIONS | (_OWN_DETAIL if is_detailed else _OWN),
        notes=(*_NOTES, *notes, _DETAIL if is_detailed else _AGGREGATE),
    )
    server = node.node("server_info")
    model = server.text("served_model_name") or server.text("model_path")
    return [imported([level], origin=origin, model=model, engine={"api": node.text("backend")}, workload=lengths)]


_DETAIL: Final = "Percentiles were calculated from the requests in the file, with intervals."
_AGGREGATE: Final = (
    "The file has no single requests: percentiles are the tool's own, without intervals, and how many requests failed "
    "is not in it."
)


def _load(node: Node) -> tuple[int | None, float | None, list[str]]:
    if node.fields.get("request_rate") == "trace":
        return None, None, ["Requests were sent at a trace's times: the level has neither users nor a rate."]
    return load_of(node)


def _detailed(node: Node) -> dict[str, Distribution]:
    """As of vLLM's: the gaps of a request add up to its time, also where they were spread over tokens."""
    return {name: times for name, times in from_detail(node).items() if name != "itl_s"}


IMPORTER: Final = Importer(recognise, read)
