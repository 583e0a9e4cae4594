"""Make src/breakeven/reference/serving.csv: medians of the serving points inside aiconfigurator-core 0.12.0
(Apache-2.0).

    pip download aiconfigurator-core==0.12.0 --no-deps && unzip aiconfigurator_core-0.12.0-*.whl
    python benchmarks/make_serving_points.py aiconfigurator_core/systems/silicon_sample.csv

Kept are points of one replica that prefills and decodes on the same cards, split by tensor parallelism alone (no
pipeline, no expert and no data parallelism), of models whose shape the table of models has. Points with the same
settings become one, the median of each figure. `users` is what one replica serves at once. gpt-oss is kept as MXFP4
whatever the file calls it. Left out: InferenceX's points of 512 users, whose TPOT is below that at 64, so that the
engine cannot have served them at once; and points that would need more than the card has, even if it reached all of its
bandwidth and of its rate without a pause (`most`): 2 of 1,419, Qwen3-32B in FP8 under vLLM 0.12.0, 107 and 114 % of the
bandwidth with keys and values of 16 bits.

The file does not say in how many bits keys and values are kept (`kv_bits`). NVIDIA's FP8 and FP4 checkpoints ask for
8, and TensorRT-LLM follows them; so did vLLM on Blackwell, or the fit has it read keys and values at twice the card's
bandwidth. Others: 16. InferenceX draws lengths evenly from 0.8 to 1 of the nominal ones (its RANDOM_RANGE_RATIO), so
that the mean, 0.9, stands here for its points.
"""

import csv
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import msgspec

from breakeven.hardware import find_gpu
from breakeven.predict.shipped import calibrated
from breakeven.predict.steptime import PERFECT, step_time
from breakeven.reference.serving import ServingPoint

OUT = Path(__file__).parents[1] / "src" / "breakeven" / "reference" / "serving.csv"
MODELS = {"Llama-3.1-8B": "llama-3.1-8b", "Llama-3.1-70B": "llama-3.1-70b", "Qwen3-32B": "qwen3-32b"} | {
    "Qwen3-235B-A22B": "qwen3-235b-a22b",
    "gpt-oss-120b": "gpt-oss-120b",
}
COLUMNS = [field.name for field in msgspec.structs.fields(ServingPoint)]
ONE = {"", "0", "1"}
MOST_CARDS, MOST_USERS = 8, 256
DRAWN = 0.9


def key(row: dict[str, str]) -> tuple[str | int, ...] | None:
    model = next((ours for theirs, ours in MODELS.items() if theirs in row["model_path"]), None)
    spread = {row[field] for field in ("attention_dp_size", "moe_ep_size", "pp_size")}
    if model is None or row["mode"] != "agg" or not spread <= ONE or row["moe_tp_size"] not in ONE | {row["tp_size"]}:
        return None
    inferencex = bool(re.search(r"source_file=20|db-dump", row["silicon_data_source"]))
    if int(row["tp_size"]) > MOST_CARDS or (inferencex and int(row["batch_size"]) > MOST_USERS):
        return None
    precision = {"": "bf16", "fp4": "nvfp4"}.get(row["precision"], row["precision"])
    precision = "mxfp4" if model.startswith("gpt-oss") else precision
    dated = re.search(r"measured=(\d{4}-\d\d)", row["silicon_data_source"])
    engine, gpu = row["backend"], find_gpu(row["system"].replace("_", " "))
    eight = precision != "bf16" and (engine == "trtllm" or (engine == "vllm" and gpu.arch == "blackwell"))
    share = DRAWN if inferencex else 1
    return (
        model,
        gpu.key,
        engine,
        row["backend_version"],
        dated[1] if dated else "",
        "inferencex" if inferencex else "aiconfigurator",
        precision,
        8 if eight else 16,
        int(row["tp_size"]),
        round(share * int(row["isl"])),
        round(share * int(row["osl"])),
        int(row["batch_size"]),
    )


def most(row: ServingPoint) -> float:
    """The largest part of what the cards can do that a point needs: of the bandwidth while a user is answered, of the
    rate over all time, of the rate while a lone prompt is read.

    Counted from below: a step touches the experts of one token, and those who wait are not answered.
    """
    point = calibrated(row).point
    ttft_s, tpot_s = row.ttft_ms / 1e3, row.tpot_ms / 1e3
    steps = step_time(point.model, point.gpu, PERFECT, tp=row.tp)
    decode_s = (row.output_tokens - 1) * tpot_s
    answering = row.users * decode_s / (decode_s + ttft_s)
    context = row.input_tokens + row.output_tokens / 2
    read_s = steps.linear_read_s + steps.head_read_s
    read_s += steps.expert_read_s * steps.experts_per_token / max(1, steps.experts)
    read_s += answering * (steps.cached_s * context + steps.windowed_s * min(context, steps.window))
    token_s = steps.linear_token_s + steps.expert_token_s
    request_s = token_s * (row.input_tokens + row.output_tokens) + steps.head_token_s * row.output_tokens
    return max(
        read_s / tpot_s,
        request_s * row.users / (ttft_s + decode_s),
        token_s * row.input_tokens / ttft_s,
    )


def main() -> None:
    groups: dict[tuple[str | int, ...], list[dict[str, str]]] = defaultdict(list)
    with Path(sys.argv[1]).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if at := key(row):
                groups[at].append(row)
    made, impossible = [], 0
    for at, rows in sorted(groups.items(), key=lambda group: tuple(map(str, group[0][:8])) + group[0][8:]):
        medians = (statistics.median(float(row[f"silicon_{it}_ms"]) for row in rows) for it in ("ttft", "tpot"))
        line = (*at, *(f"{median:.4g}" for median in medians), len(rows))
        fields = {name: cell for name, cell in zip(COLUMNS, line, strict=True) if cell != ""}
        possible = most(msgspec.convert(fields, ServingPoint, strict=False)) <= 1
        impossible += not possible
        made += [line] if possible else []
    with OUT.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(made)
    print(f"{len(made)} points, {impossible} left out that need more than the card has")


if __name__ == "__main__":
    main()
