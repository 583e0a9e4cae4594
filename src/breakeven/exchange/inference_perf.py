"""inference-perf results (stage_N_lifecycle_metrics.json): one level a file."""

from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange.document import Node, divided
from breakeven.exchange.imported import DEFINITIONS, NO_INTERVALS, WHOLE_RUN, Imported, Importer, Origin, imported
from breakeven.exchange.spread import quoted
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "inference-perf"
OWN: Final = {
    "tpot_s": "(last token - first token) / (output tokens - 1), one value a request, tokens by the client's tokenizer "
    "unless it was told to use the server's",
    "e2e_s": "request sent -> end of the answer, which is later than the last token",
}
_NOTES: Final = (
    "Tokens are those of the client's tokenizer unless the tool was told to use the server's: the file does not say.",
    "Left out: normalized_time_per_output_token, because it contains the first token.",
    "Left out: inter_token_latency, because it gives the tokens of one chunk a gap of 0.",
    NO_INTERVALS,
    "Throughput is that of the whole stage, its start and its end included; ours is that of the steady window.",
)
_PERCENTILES: Final = {"mean": "mean", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99"}


def recognise(document: Any) -> bool:
    """A lifecycle report: a load, its successes with their latency, and its failures; not a Prometheus report."""
    keys = ("load_summary", "successes", "failures")
    if not isinstance(document, dict) or not all(isinstance(document.get(key), dict) for key in keys):
        return False
    return "latency" in document["successes"] or not document["successes"].get("count")


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` where the stage had a concurrency, else the requested rate."""
    node = Node(document, place=where)
    level = _level(node)
    good = node.node("successes")
    lengths = {
        "input_tokens": _either(good, "prompt_tokens", "prompt_len").number("mean"),
        "output_tokens": _either(good, "output_tokens", "output_len").number("mean"),
    }
    origin = Origin(tool=TOOL, where=where, definitions=DEFINITIONS | OWN, notes=_NOTES)
    return [imported([level], origin=origin, workload=lengths)]


def _level(node: Node) -> LevelSummary:
    good, load = node.node("successes"), node.node("load_summary")
    latency, rates = good.node("latency"), good.node("throughput")
    users, rate = _load(load)
    n = good.whole("count") or 0
    tpot = _quoted(latency, "time_per_output_token", n=n)
    return LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="done",
        window_s=node.number("benchmark_time_seconds") or divided(n, rates.number("requests_per_sec")),
        requests=n,
        errors=node.node("failures").whole("count") or 0,
        output_tok_per_s=Estimate(value=rates.number("output_tokens_per_sec")),
        total_tok_per_s=Estimate(value=rates.number("total_tokens_per_sec")),
        req_per_s=Estimate(value=rates.number("requests_per_sec")),
        distributions={
            "ttft_s": _quoted(latency, "time_to_first_token", n=n),
            "tpot_s": tpot,
            "e2e_s": _quoted(latency, "request_latency", n=n),
            "tok_per_s_per_user": inverted(tpot),
        },
        cautions=(WHOLE_RUN,),
    )


def _load(load: Node) -> tuple[int | None, float | None]:
    users, rate = load.whole("concurrency", least=1), load.number("requested_rate")
    if users is None and rate is None:
        raise UsageError(
            f"{load.place}: neither a concurrency nor a rate, so this is the pool over all stages, which is no level; "
            "take the files of the stages (stage_0_lifecycle_metrics.json and so on)"
        )
    return (None, rate) if users is None else (users, None)


def _either(node: Node, new: str, old: str) -> Node:
    return node.node(new if node.has(new) else old)


def _quoted(latency: Node, name: str, *, n: int) -> Distribution:
    block = latency.node(name)
    return quoted(n, **{ours: block.number(theirs) for ours, theirs in _PERCENTILES.items()})


IMPORTER: Final = Importer(recognise, read)
