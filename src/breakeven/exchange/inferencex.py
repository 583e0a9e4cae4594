"""InferenceX aggregates (agg_*.json): one object a measured point, or a list of them."""

from typing import Any, Final

from breakeven.errors import UsageError
from breakeven.exchange.document import Node, scaled
from breakeven.exchange.imported import DEFINITIONS, WHOLE_RUN, Imported, Importer, Origin, gpu_of, imported
from breakeven.exchange.spread import as_told
from breakeven.metrics.statistics import inverted
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary

TOOL: Final = "inferencex"
_KEYS: Final = ("hw", "conc", "model", "framework", "tput_per_gpu", "output_tput_per_gpu")
_OWN: Final = {
    "output_tok_per_s": "output tokens per second and GPU x the GPUs it was divided by, over the whole run",
    "ttft_s": "request sent -> first chunk of the stream, also one without text",
}
_NOTES: Final = (
    "Throughput is that of all GPUs together: the file's figure per GPU times its GPUs.",
    "Left out: ITL, because the aggregate does not say over what it was pooled; intvty, which is 1 / TPOT.",
    "The number of requests is not in the file; percentiles are the tool's own, without intervals.",
    "Throughput is that of the whole run, its start and its end included; ours is that of the steady window.",
)
_CONFIG: Final = ("hw", "framework", "model", "precision", "spec_decoding", "image", "isl", "osl", "tp", "pp", "ep")
_SPLIT: Final = ("prefill_tp", "prefill_ep", "prefill_num_workers", "decode_tp", "decode_ep", "decode_num_workers")


def recognise(document: Any) -> bool:
    """One aggregate, or a list whose first entry is one."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and all(key in first for key in _KEYS)


def read(document: Any, *, where: str) -> list[Imported]:
    """One run a configuration, one level a concurrency of it."""
    entries = document if isinstance(document, list) else [document]
    groups: dict[tuple[str, ...], list[Node]] = {}
    for index, entry in enumerate(entries):
        node = Node(entry, place=f"{where}[{index}]" if isinstance(document, list) else where)
        if not node.has(*_KEYS):
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
    levels = sorted((_level(node) for node in nodes), key=lambda level: level.users or 0)
    return imported(
        levels,
        origin=Origin(tool=TOOL, where=where, definitions=DEFINITIONS | _OWN, notes=(*_NOTES, *notes)),
        model=first.text("model"),
        engine={
            "name": first.text("framework"),
            "precision": first.text("precision"),
            "image": first.text("image"),
            "speculative_decoding": first.text("spec_decoding"),
        },
        host={"gpu": gpu, "gpu_name": hw, "gpu_count": _gpus(first)[0]},
        workload={"input_tokens": first.whole("isl"), "output_tokens": first.whole("osl")},
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


def _quoted(node: Node, name: str) -> Distribution:
    """The aggregate holds seconds already. How many requests stand behind a percentile is not known."""
    keys = {"mean": "mean", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99"}
    return as_told(0, **{ours: node.number(f"{theirs}_{name}") for ours, theirs in keys.items()})


IMPORTER: Final = Importer(recognise, read)
