"""What aiconfigurator 0.12.0 (NVIDIA, Apache-2.0) predicts for a draw of the shipped serving points.

    python -m venv peer && peer/bin/pip install aiconfigurator==0.12.0
    peer/bin/python benchmarks/predict_peer.py

Needs nothing of breakeven. Drawn are 120 of the points of serving.csv that are of H100 or H200 and of a dense model
(random.Random(1).sample over the table's order); of each the settings and what it predicts go to
src/breakeven/reference/peer.csv. It is told the same as our model: the mean lengths, the users as its batch size,
the cards, 8 bits of weights and of keys and values where the point has them; its newest kernel tables of the engine
stand for all versions, as it ships no others for these. A few seconds a point.
"""

import csv
import random
from collections.abc import Iterable
from pathlib import Path

from aiconfigurator.cli.api import cli_estimate

HERE = Path(__file__).parent
POINTS = HERE.parent / "src" / "breakeven" / "reference" / "serving.csv"
NAMES = {"llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B", "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B"} | {
    "qwen3-32b": "Qwen/Qwen3-32B"
}
CARDS = {"h100-sxm": "h100_sxm", "h200-sxm": "h200_sxm"}
SETTINGS = ("model", "gpu", "engine", "version", "measured", "origin", "precision", "kv_bits")
SIZES = ("tp", "input_tokens", "output_tokens", "users")
DRAWN, SEED = 120, 1
DRAWN_FROM = ("h100", "h200")


def drawn() -> list[dict[str, str]]:
    with POINTS.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["gpu"][:4] in DRAWN_FROM and row["model"] in NAMES]
    return random.Random(SEED).sample(rows, DRAWN)


def estimate(row: dict[str, str]) -> tuple[str, str, str]:
    """TTFT and TPOT in ms as it says them, or what it says instead."""
    quantised = {"gemm_quant_mode": "fp8"} if row["precision"] == "fp8" else {}
    try:
        found = cli_estimate(
            NAMES[row["model"]],
            CARDS[row["gpu"]],
            backend_name=row["engine"],
            isl=int(row["input_tokens"]),
            osl=int(row["output_tokens"]),
            batch_size=int(row["users"]),
            tp_size=int(row["tp"]),
            kvcache_quant_mode="fp8" if row["kv_bits"] == "8" else "bfloat16",
            **quantised,
        )
    except Exception as error:  # noqa: BLE001  (whatever it raises is its answer)
        return "", "", f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return f"{found.ttft:.4g}", f"{found.tpot:.4g}", ""


def write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow((*SETTINGS, *SIZES, "peer_ttft_ms", "peer_tpot_ms", "peer_error"))
        for number, row in enumerate(rows, 1):
            out.writerow((*(row[name] for name in SETTINGS + SIZES), *estimate(row)))
            print(path.name, number, flush=True)


def main() -> None:
    write(POINTS.parent / "peer.csv", drawn())


if __name__ == "__main__":
    main()
