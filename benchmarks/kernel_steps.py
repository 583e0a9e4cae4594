"""Step times of aiconfigurator-core's measured kernels at the settings of the shipped points of dense models.

    pip install 'breakeven[silicon]'
    python benchmarks/kernel_steps.py

Writes benchmarks/results/kernel_steps.csv, from which benchmarks/predict_fit.py finds how wrong predictions by kernels
are without the package. Beside the shipped points Llama 3.1 8B in 16 bits under vLLM on an L40S and an A100 SXM, for
the figures of 2024. Half a minute.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from breakeven.hardware import find_gpu, find_model
from breakeven.hardware.silicon import Kernels, Step, kernels
from breakeven.predict.shipped import shipped_points
from breakeven.predict.validate import Setting, setting

STEPS = Path(__file__).parent / "results" / "kernel_steps.csv"
OLD_CARDS = ("l40s", "a100-80-sxm")
FIELDS = ("model", "precision", "kv_bits", "gpu", "engine", "cards", "version", "users", "tokens", "step_ms")


def asked() -> Iterable[Setting]:
    measured, _ = shipped_points()
    found = [setting(one) for one in measured if one.key.kind == "dense"]
    found += [Setting(find_model("llama-3.1-8b"), gpu, "vllm", 1) for gpu in OLD_CARDS]
    return dict.fromkeys(found)


def known() -> dict[Setting, Kernels]:
    """What the file has."""
    made: dict[Setting, Kernels] = {}
    with STEPS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            model = find_model(row["model"]).kept_as(row["precision"], kv_bits=int(row["kv_bits"]))
            of = Setting(model, row["gpu"], row["engine"], int(row["cards"]))
            step = Step(int(row["users"]), int(row["tokens"]), float(row["step_ms"]) / 1e3)
            before = made.get(of, Kernels(of.gpu, row["version"], (), ""))
            made[of] = before._replace(steps=(*before.steps, step))
    return made


def main() -> None:
    with STEPS.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(FIELDS)
        for of in asked():
            found = kernels(of.model, find_gpu(of.gpu), of.engine, cards=of.cards)
            if found is None:
                continue
            about = (of.model.key, of.model.precision, of.model.kv_bits, of.gpu, of.engine, of.cards, found.version)
            for step in found.steps:
                out.writerow((*about, step.users, step.tokens, f"{step.seconds * 1e3:.5g}"))


if __name__ == "__main__":
    main()
