"""vLLM's multi-turn benchmark (`benchmark_serving_multi_turn.py --stats-json-output`): one level a file."""

from typing import Any, Final

from breakeven.exchange.document import Node, divided
from breakeven.exchange.imported import DEFINITIONS, OF_WHOLE_RUN, WHOLE_RUN, Imported, Importer, Origin, imported
from breakeven.exchange.spread import mean_speed
from breakeven.metrics.statistics import distribution, inverted
from breakeven.metrics.summary import Estimate, LevelSummary

TOOL: Final = "vllm-multi-turn"
_KEYS: Final = (
    "ttft_ms",
    "tpot_ms",
    "latency_ms",
    "start_time_ms",
    "output_num_tokens",
    "conversation_id",
    "client_id",
)
_OWN: Final = {
    "ttft_s": "request sent -> first chunk with text, less a TPOT for every further token of that chunk",
    "tpot_s": "(end of the stream - first token) / (output tokens - 1), one value a request",
    "e2e_s": "request sent -> end of the stream, which is later than the last token",
    "output_tok_per_s": "output tokens of the answers in the file, by the client's tokenizer / first request sent -> "
    "last answer's end",
}
_NOTES: Final = (
    "Users are the clients of the file, each with one request at a time; whether they were paced is not in it.",
    "Failed requests and the warm-up step are not in the file.",
    "Tokens are those of the client's tokenizer.",
    "Left out: ITL, because the file holds no gaps between chunks.",
    "Percentiles were calculated from the requests in the file, with intervals.",
    OF_WHOLE_RUN,
)


def recognise(document: Any) -> bool:
    """A list with one object a request."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and all(key in first for key in _KEYS)


def read(document: Any, *, where: str) -> list[Imported]:
    """One level: `users` is the number of clients that had an answer."""
    requests = [Node(one, place=f"{where}[{number}]") for number, one in enumerate(document)]
    level = _level(requests)
    lengths = {
        "input_tokens": divided(level.input_tokens, level.requests),
        "output_tokens": divided(level.output_tokens, level.requests),
    }
    origin = Origin(tool=TOOL, where=where, definitions=DEFINITIONS | _OWN, notes=_NOTES)
    return [imported([level], origin=origin, workload=lengths)]


def _level(requests: list[Node]) -> LevelSummary:
    inputs, outputs = (_sum(requests, f"{name}_num_tokens") for name in ("input", "output"))
    window_s = _window_s(requests)
    tpot = _times(requests, "tpot_ms")
    per_token = distribution(tpot)
    return LevelSummary(
        users=len({str(request.fields["client_id"]) for request in requests if request.has("client_id")}) or None,
        status="done",
        stopped="requests",
        window_s=window_s,
        requests=len(requests),
        input_tokens=inputs,
        output_tokens=outputs,
        output_tok_per_s=Estimate(value=divided(outputs, window_s)),
        total_tok_per_s=Estimate(value=divided(inputs + outputs, window_s)),
        req_per_s=Estimate(value=divided(len(requests), window_s)),
        distributions={
            "ttft_s": distribution(_times(requests, "ttft_ms")),
            "tpot_s": per_token,
            "e2e_s": distribution(_times(requests, "latency_ms")),
            "tok_per_s_per_user": inverted(per_token, mean=mean_speed(tpot)),
        },
        cautions=(WHOLE_RUN,),
    )


def _sum(requests: list[Node], name: str) -> int:
    return sum(request.whole(name) or 0 for request in requests)


def _window_s(requests: list[Node]) -> float | None:
    """From the first request sent to the end of the last answer; None where nothing tells."""
    spans = [(request.number("start_time_ms"), request.number("latency_ms")) for request in requests]
    known = [
        (start_ms, start_ms + took_ms) for start_ms, took_ms in spans if start_ms is not None and took_ms is not None
    ]
    return (max(end for _, end in known) - min(start for start, _ in known)) * 1e-3 if known else None


def _times(requests: list[Node], name: str) -> list[float]:
    """In seconds; 0 stands for none: an answer of a single chunk has no TPOT."""
    return [value * 1e-3 for request in requests if (value := request.number(name))]


IMPORTER: Final = Importer(recognise, read)
