"""vLLM `bench serve` results, with or without --save-detailed."""

import datetime
import math
from collections.abc import Mapping
from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange.document import Node, divided, scaled
from breakeven.exchange.imported import DEFINITIONS, OF_WHOLE_RUN, WHOLE_RUN, Imported, Importer, Origin, imported
from breakeven.exchange.spread import mean_speed, quoted
from breakeven.metrics.statistics import distribution, inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "vllm"
_KEYS: Final = ("num_prompts", "request_rate", "duration", "completed", "output_throughput")
OWN: Final = {
    "ttft_s": "request sent -> first chunk of the stream, also one without text",
    "itl_s": "gap between neighbouring chunks, pooled; chunks without text count",
}
_NOTES: Final = (
    "TTFT is taken at the first chunk, even one that carries no text, so it can be shorter than ours.",
    OF_WHOLE_RUN,
)


def recognise(document: Any) -> bool:
    """A result of `vllm bench serve`."""
    return isinstance(document, dict) and all(key in document for key in _KEYS)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is max_concurrency where requests were not paced, else the rate is what was offered."""
    node = Node(document, place=where)
    level, notes = _level(node)
    origin = Origin(tool=TOOL, where=where, definitions=DEFINITIONS | OWN, notes=(*_NOTES, *notes))
    lengths = {
        "input_tokens": _mean_tokens(node, "total_input_tokens"),
        "output_tokens": _mean_tokens(node, "total_output_tokens"),
        "run_number": node.whole("run_number", least=-1),
    }
    return [
        imported(
            [level],
            origin=origin,
            model=node.text("model_id"),
            started=_iso(node.text("date")),
            engine={"api": node.text("backend")},
            workload=lengths,
        )
    ]


def _iso(date: str | None) -> str | None:
    """`20261123-025800` as ISO 8601; the file names no zone. None for another form."""
    try:
        return datetime.datetime.strptime(date or "", "%Y%m%d-%H%M%S").isoformat()
    except ValueError:
        return None


def _level(node: Node) -> tuple[LevelSummary, list[str]]:
    users, rate, notes = load_of(node)
    metrics, more = _distributions(node)
    return LevelSummary(
        users=users,
        req_per_s_offered=rate,
        status="done",
        stopped="requests",
        window_s=node.number("duration"),
        requests=node.whole("completed") or 0,
        errors=_failed(node),
        input_tokens=node.whole("total_input_tokens"),
        output_tokens=node.whole("total_output_tokens"),
        output_tok_per_s=Estimate(value=node.number("output_throughput")),
        total_tok_per_s=Estimate(value=node.number("total_token_throughput")),
        req_per_s=Estimate(value=node.number("request_throughput")),
        cautions=(WHOLE_RUN,),
        distributions=metrics,
    ), [*notes, *more]


def _failed(node: Node) -> int:
    """Before the tool counted them: what was sent and not completed."""
    failed = node.whole("failed")
    lost = (node.whole("num_prompts") or 0) - (node.whole("completed") or 0)
    return max(lost, 0) if failed is None else failed


def load_of(node: Node) -> tuple[int | None, float | None, list[str]]:
    """Users where requests were not paced, else the rate that was offered, and what is to be said of it."""
    cap = node.whole("max_concurrency", least=1)
    rate = node.fields.get("request_rate")
    paced = None if rate == "inf" else node.number("request_rate")
    if paced is not None:
        cut = [f"At most {cap} requests were in flight, so the rate may not have been reached."] if cap else []
        return None, paced, cut
    if cap is None:
        return None, None, ["All requests were sent at once: the level has neither users nor a rate."]
    return cap, None, []


def _distributions(node: Node) -> tuple[dict[str, Distribution], list[str]]:
    if node.has("ttfts", "itls", "output_lens"):
        return from_detail(node), ["Percentiles were calculated from the requests in the file, with intervals."]
    n = node.whole("completed") or 0
    return told(node, _NAMES, n=n), [
        "The file has no single requests: percentiles are the tool's own, without intervals."
    ]


_NAMES: Final[Mapping[str, str]] = {"ttft_s": "ttft", "tpot_s": "tpot", "itl_s": "itl", "e2e_s": "e2el"}


def told(node: Node, names: Mapping[str, str], *, n: int) -> dict[str, Distribution]:
    """The tool's own percentiles, `p99_ttft_ms`, by our names; of `n` answers each."""
    keys = {"mean": "mean", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99"}
    metrics = {
        ours: quoted(n, **{key: scaled(node.number(f"{their}_{name}_ms"), 1e-3) for key, their in keys.items()})
        for ours, name in names.items()
    }
    return metrics | {"tok_per_s_per_user": inverted(metrics["tpot_s"])}


def from_detail(node: Node) -> dict[str, Distribution]:
    """E2E is TTFT plus all gaps; TPOT is (E2E - TTFT) / (output tokens - 1). Failed requests are left out."""
    rows = _requests(node)
    tpot = [math.fsum(gaps) / (tokens - 1) for _, tokens, gaps in rows if tokens > 1 and gaps]
    per_token = distribution(tpot)
    return {
        "ttft_s": distribution([first_s for first_s, _, _ in rows]),
        "tpot_s": per_token,
        "itl_s": distribution([gap for _, _, gaps in rows for gap in gaps]),
        "e2e_s": distribution([first_s + math.fsum(gaps) for first_s, _, gaps in rows]),
        "tok_per_s_per_user": inverted(per_token, mean=mean_speed(tpot)),
    }


def _requests(node: Node) -> list[tuple[float, float, list[float]]]:
    """TTFT, output tokens and gaps of every answer; a failed request has a TTFT of 0 or no tokens in the file."""
    ttfts, lengths, itls = node.numbers("ttfts"), node.numbers("output_lens"), node.items("itls")
    if not len(ttfts) == len(lengths) == len(itls):
        raise UsageError(f"{node.place}: ttfts, itls and output_lens are not of one length")
    rows = []
    for index, (first_s, tokens) in enumerate(zip(ttfts, lengths, strict=True)):
        gaps = Node({"": itls[index]}, place=f"{node.place}.itls[{index}]").numbers("")
        if first_s and tokens:
            rows.append((first_s, tokens, [gap for gap in gaps if gap is not None]))
    return rows


def _mean_tokens(node: Node, name: str) -> float | None:
    """Tokens of a request, on average."""
    return divided(node.number(name), node.number("completed"))


IMPORTER: Final = Importer(recognise, read)
