"""InferenceX aggregates (agg_*.json): one object a measured point, or a list of them."""

from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange import aiperf
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
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "inferencex"
_KEYS: Final = ("hw", "conc", "model", "framework", "tput_per_gpu", "output_tput_per_gpu")
_AGENTIC: Final = ("hw", "conc", "model", "framework", "request_metrics")
"""Of a replay of agents' sessions, whose figures stand in an object of their own."""
_OWN: Final = {
    "output_tok_per_s": "output tokens per second and GPU x the GPUs it was divided by, over the whole run",
    "ttft_s": "request sent -> first chunk of the stream, also one without text",
}
_NOTES: Final = (
    "Throughput is that of all GPUs together: the file's figure per GPU times its GPUs.",
    "Left out: ITL, because the aggregate does not say over what it was pooled; intvty, which is 1 / TPOT.",
    "The number of requests is not in the file; percentiles are the tool's own, without intervals.",
    OF_WHOLE_RUN,
)
_OWN_OF_AGENTS: Final = {
    "tpot_s": aiperf.OWN["tpot_s"],
    "output_tok_per_s": "output tokens of answers that succeeded / first of them sent -> last of them ended",
}
_OF_AGENTS: Final = (
    "Users are the sessions that run at once. The tool behind it is AIPerf.",
    "Left out: ITL, which is TPOT under another name here.",
    NO_INTERVALS,
    OF_WHOLE_RUN,
)
_CONFIG: Final = (
    "hw",
    "framework",
    "model",
    "precision",
    "spec_decoding",
    "image",
    "isl",
    "osl",
    "tp",
    "pp",
    "ep",
    "scenario_type",
    "kv_offloading",
)
_SPLIT: Final = ("prefill_tp", "prefill_ep", "prefill_num_workers", "decode_tp", "decode_ep", "decode_num_workers")


def recognise(document: Any) -> bool:
    """One aggregate, or a list whose first entry is one."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and any(all(key in first for key in keys) for keys in (_KEYS, _AGENTIC))


def read(document: Any, *, where: str) -> list[Imported]:
    """One run a configuration, one level a concurrency of it."""
    entries = document if isinstance(document, list) else [document]
    groups: dict[tuple[str, ...], list[Node]] = {}
    for index, entry in enumerate(entries):
        node = Node(entry, place=f"{where}[{index}]" if isinstance(document, list) else where)
        if not node.has(*_KEYS) and not node.has(*_AGENTIC):
            raise UsageError(f"{node.place}: no InferenceX aggregate; it lacks {_missing(node)}")
        config = tuple(str(node.fields.get(key)) for key in (*_CONFIG, *_SPLIT, "num_prefill_gpu", "num_decode_gpu"))
        groups.setdefault(config, []).append(node)
    several = len(groups) > 1
    return [
        _run(nodes, where=where, name=f"-{number}" if several else "")
        for number, nodes in enumerate(groups.values(), start=1)
    ]


def _missing(node: Node) -> str:
    return next(key for key in _KEYS if not node.has(key))


def _run(nodes: list[Node], *, where: str, name: str) -> Imported:
    first = nodes[0]
    hw = first.text("hw") or ""
    gpu, notes = gpu_of(hw)
    is_agentic = first.has("request_metrics")
    levels = sorted(
        (_agentic(node) if is_agentic else _level(node) for node in nodes), key=lambda level: level.users or 0
    )
    return imported(
        levels,
        origin=Origin(
            tool=TOOL,
            where=where,
            definitions=DEFINITIONS | (_OWN_OF_AGENTS if is_agentic else _OWN),
            notes=(*(_OF_AGENTS if is_agentic else _NOTES), *notes),
        ),
        model=first.text("model"),
        engine={
            "name": first.text("framework"),
            "precision": first.text("precision"),
            "image": first.text("image"),
            "speculative_decoding": first.text("spec_decoding"),
        },
        host={"gpu": gpu, "gpu_name": hw, "gpu_count": _gpus(first)[0]},
        workload=_agents(first)
        if is_agentic
        else {"input_tokens": first.whole("isl"), "output_tokens": first.whole("osl")},
        name=name,
    )


def _gpus(node: Node) -> tuple[int, int]:
    """All GPUs of the deployment, and those that output_tput_per_gpu was divided by (the decoding ones if split)."""
    if node.fields.get("is_multinode") is True:
        prefill, decode = node.whole("num_prefill_gpu") or 0, node.whole("num_decode_gpu") or 0
        count = prefill + decode, decode or prefill + decode
    else:
        alone = (node.whole("tp") or 0) * (node.whole("pp") or 1) * (node.whole("pcp_size") or 1)
        count = alone, alone
    if count[0] < 1:
        raise UsageError(f"{node.place}: the number of GPUs is missing (tp, or num_prefill_gpu and num_decode_gpu)")
    return count


def _level(node: Node) -> LevelSummary:
    gpus, divisor = _gpus(node)
    tpot = _quoted(node, "tpot")
    return LevelSummary(
        users=node.whole("conc", least=1),
        status="done",
        output_tok_per_s=Estimate(value=scaled(node.number("output_tput_per_gpu"), divisor)),
        total_tok_per_s=Estimate(value=scaled(node.number("tput_per_gpu"), gpus)),
        distributions={
            "ttft_s": _quoted(node, "ttft"),
            "tpot_s": tpot,
            "e2e_s": _quoted(node, "e2el"),
            "tok_per_s_per_user": inverted(tpot),
        },
        cautions=(WHOLE_RUN,),
    )


def _agentic(node: Node) -> LevelSummary:
    """Of requests that were answered after the warm-up; `conc` sessions run at once."""
    told = node.node("request_metrics")
    rates, latency = told.node("throughput"), told.node("latency")
    n, window_s = node.whole("num_requests_successful") or 0, rates.number("duration_seconds")
    times = {
        ours: quoted(n, **{key: latency.node(theirs).number(key) for key in ("mean", "p50", "p90", "p95")})
        for ours, theirs in (("ttft_s", "ttft"), ("tpot_s", "tpot"), ("e2e_s", "e2el"))
    }
    return LevelSummary(
        users=node.whole("conc", least=1),
        status="done",
        window_s=window_s,
        requests=n,
        errors=node.node("request_accounting").whole("records_error_dropped") or 0,
        output_tok_per_s=Estimate(value=rates.node("output").number("tokens_per_second")),
        total_tok_per_s=Estimate(value=rates.node("total").number("tokens_per_second")),
        req_per_s=Estimate(value=divided(n, window_s)),
        distributions=times | {"tok_per_s_per_user": inverted(times["tpot_s"])},
        cautions=(WHOLE_RUN,),
    )


def _agents(node: Node) -> dict[str, Any]:
    tokens = node.node("request_metrics").node("tokens")
    return {
        "name": node.text("scenario_type"),
        "input_tokens": tokens.node("input").number("mean"),
        "output_tokens": tokens.node("output_actual").number("mean"),
    }


def _quoted(node: Node, name: str) -> Distribution:
    """The aggregate holds seconds already. How many requests stand behind a percentile is not known."""
    keys = {"mean": "mean", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99"}
    return as_told(0, **{ours: node.number(f"{theirs}_{name}") for ours, theirs in keys.items()})


IMPORTER: Final = Importer(recognise, read)
