"""llmperf summaries (`…_summary.json` of token_benchmark_ray.py): one level a file."""

import datetime
from typing import Any, Final

from breakeven.exchange.document import Node, divided
from breakeven.exchange.imported import (
    DEFINITIONS,
    NO_INTERVALS,
    OF_WHOLE_RUN,
    WHOLE_RUN,
    Imported,
    Importer,
    Origin,
    imported,
)
from breakeven.exchange.spread import quoted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "llmperf"
_KEYS: Final = ("num_concurrent_requests", "results_ttft_s_mean", "results_mean_output_throughput_token_per_s")
_OWN: Final = {
    "ttft_s": "request sent -> first chunk with text",
    "e2e_s": "request sent -> end of the stream, which is later than the last token",
    "output_tok_per_s": "output tokens / the whole run, its start and its end included, tokens by Llama's tokenizer "
    "whatever the model",
}
_NOTES: Final = (
    "Left out: inter_token_latency_s, which is latency / tokens and so contains the first token. There is no TPOT.",
    "Tokens are counted by Llama's tokenizer, whatever the model: they are not the server's.",
    NO_INTERVALS,
    OF_WHOLE_RUN,
)


def recognise(document: Any) -> bool:
    """A summary, whose results are flat fields."""
    return isinstance(document, dict) and all(key in document for key in _KEYS)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is num_concurrent_requests."""
    node = Node(document, place=where)
    lengths = {
        f"{ours}_tokens": node.number(f"results_number_{ours}_tokens_mean") or node.number(f"mean_{ours}_tokens")
        for ours in ("input", "output")
    }
    origin = Origin(tool=TOOL, where=where, definitions=_definitions(), notes=_NOTES)
    return [
        imported([_level(node)], origin=origin, model=node.text("model"), started=_started(node), workload={**lengths})
    ]


def _definitions() -> dict[str, str]:
    return {name: text for name, text in (DEFINITIONS | _OWN).items() if name != "tpot_s"}


def _started(node: Node) -> str | None:
    """The file holds when it was written."""
    wrote_s = node.number("timestamp")
    try:
        return None if wrote_s is None else datetime.datetime.fromtimestamp(wrote_s, datetime.UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _level(node: Node) -> LevelSummary:
    n = node.whole("results_num_completed_requests") or 0
    per_s = divided(node.number("results_num_completed_requests_per_min"), 60.0)
    return LevelSummary(
        users=node.whole("num_concurrent_requests", least=1),
        status="done",
        window_s=divided(n, per_s),
        requests=n,
        errors=node.whole("results_number_errors") or 0,
        output_tok_per_s=Estimate(value=node.number("results_mean_output_throughput_token_per_s")),
        req_per_s=Estimate(value=per_s),
        distributions={
            "ttft_s": _quoted(node, "results_ttft_s", n=n),
            "e2e_s": _quoted(node, "results_end_to_end_latency_s", n=n),
        },
        cautions=(WHOLE_RUN,),
    )


def _quoted(node: Node, name: str, *, n: int) -> Distribution:
    figures = {key: node.number(f"{name}_quantiles_{key}") for key in ("p50", "p90", "p95", "p99")}
    return quoted(n, mean=node.number(f"{name}_mean"), **figures)


IMPORTER: Final = Importer(recognise, read)
