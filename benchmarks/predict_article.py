"""The cards of Nosana's article of 2024-09 and of its fleet, each predicted without its own measurements.

    python benchmarks/predict_article.py

The data are words a second of whole levels. A word counts for TOKENS_PER_WORD tokens, but what a word is and what
engine stood behind the fleet is not in the data: with one fit for all cards of a data set, efficiency and tokens a word
are one product, which cancels where all that is predicted is in words again. Predicted are figures of the same year
from other cards of it, and, at the end, figures of 2024 from the shipped points of 2025 and 2026. Markdown on stdout.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from kernel_steps import known

from breakeven.hardware import ModelShape, find_gpus, find_model
from breakeven.metrics.summary import RunSummary
from breakeven.predict.calibrations import Chosen, choose
from breakeven.predict.fit import Parameters, Point, errors, fit
from breakeven.predict.silicon import of_kernels
from breakeven.predict.validate import Setting, factor
from breakeven.reference import fleet, sweep

RATE: Final = "output_tok_per_s"
TOKENS_PER_WORD: Final = 1.35
"""Of English answers in the vocabulary of Llama 3; see above for why it hardly matters."""
INPUT_TOKENS, OUTPUT_TOKENS = 75, 400
"""As the fleet's means of latency and of words have it at one user, in 16 bits."""
SHAPES: Final[Mapping[str, ModelShape]] = {
    "llama3-8b": find_model("llama-3.1-8b"),
    "llama3.1-8b": find_model("llama-3.1-8b"),
    "llama3.1-8b-16bit": find_model("llama-3.1-8b"),
    "llama3.1-8b-4bit": find_model("llama-3.1-8b").kept_as("int4"),
}

FLEET: Final = ("llama3.1-8b-16bit", "llama3.1-8b-4bit")


class Curve(NamedTuple):
    """What one card gave."""

    gpu: str
    workload: str
    engine: str
    points: tuple[Point, ...]


def curves(runs: Iterable[RunSummary]) -> list[Curve]:
    made = []
    for run in runs:
        name = str(run.run.workload["name"]).split("/")[0]
        key = str(run.run.host["gpu"])
        known = any(gpu.bf16_fp32acc_tflop_per_s or gpu.fp16_fp16acc_tflop_per_s for gpu in find_gpus(key))
        if known and name in SHAPES and run.run.host["gpu_count"] == 1:
            made.append(Curve(key, name, str(run.run.engine.get("name", "")), tuple(_points(run, key, name))))
    return made


def _points(run: RunSummary, gpu: str, workload: str) -> Iterable[Point]:
    card = max(find_gpus(gpu), key=lambda one: one.mem_bw_gb_per_s)
    for level in run.levels:
        words = level.output_tok_per_s.value
        yield Point(
            model=SHAPES[workload],
            gpu=card,
            users=level.users or 0,
            input_tokens=INPUT_TOKENS,
            output_tokens=OUTPUT_TOKENS,
            output_tok_per_s=None if words is None else words * TOKENS_PER_WORD,
        )


def missed(found: Parameters, curve: Curve) -> list[float | None]:
    """log(measured / predicted) of a curve's throughput by users."""
    return [errors(found, point).get(RATE) for point in curve.points]


class Miss(NamedTuple):
    """A curve that was predicted without its card."""

    title: str
    curve: Curve
    errors: list[float | None]

    @property
    def family(self) -> str:
        """`a100` of all cards of that name."""
        return self.curve.gpu.split("-")[0]


def pooled(curves: Iterable[Curve]) -> Parameters:
    return fit([point for curve in curves for point in curve.points])


def left_out(title: str, group: Sequence[Curve]) -> list[Miss]:
    """Each card by a fit of the others."""
    made = []
    for card in dict.fromkeys(curve.gpu for curve in group):
        found = pooled(curve for curve in group if curve.gpu != card)
        made += [Miss(title, curve, missed(found, curve)) for curve in group if curve.gpu == card]
    return made


Widths = list[float | None]


def table(title: str, misses: Sequence[Miss], widths: Sequence[Widths]) -> None:
    """The curves, and how many of their points their intervals hold."""
    print(f"\n{title}\n\n| card | model | 1 | 5 | 10 | 50 | 100 users | 90 % |\n|---|---|---|---|---|---|---|---|")
    inside = []
    for miss, of in zip(misses, widths, strict=True):
        cells = " | ".join("does not fit" if one is None else f"{np.expm1(-one):+.0%}" for one in miss.errors)
        held = " ".join(dict.fromkeys(f"{width:.2f}" for width in of if width is not None))
        print(
            f"| {' '.join((miss.curve.gpu, miss.curve.engine)).strip()} | {miss.curve.workload} | {cells} | x {held} |"
        )
        for error, width in zip(miss.errors, of, strict=True):
            inside += [] if error is None else [width is not None and abs(error) <= np.log(width)]
    print(f"\n{sum(inside)} of {len(inside)} points inside.")


def others(misses: Iterable[Miss], miss: Miss) -> Widths:
    """The factor that holds nine of ten points of all cards of other names."""
    apart = (one.errors for one in misses if one.family != miss.family)
    width = factor([error for errors in apart for error in errors if error is not None])
    return [width] * len(miss.errors)


def today(group: Iterable[Curve]) -> list[Miss]:
    """What the shipped points of other years say of these cards."""
    return [Miss("today", curve, missed(chosen_for(curve).calibration.parameters, curve)) for curve in group]


def chosen_for(curve: Curve) -> Chosen:
    return choose(curve.points[0].model, curve.points[0].gpu, engine=curve.engine)


def shipped_widths(curve: Curve) -> Widths:
    """What the shipped intervals are, by users."""
    return [chosen_for(curve).factor(RATE, bound="bandwidth", users=point.users) for point in curve.points]


def by_kernels(group: Iterable[Curve]) -> list[Miss]:
    """What kernels of today say: the RTX 4090 by way of the L40S, A100s by those of the A100 SXM; in 16 bits."""
    steps = known()
    made = []
    for curve in group:
        model, on = SHAPES[curve.workload], {"rtx4090": "l40s", "a100": "a100-80-sxm"}.get(curve.gpu.split("-")[0])
        found = steps.get(Setting(model, on or "", "vllm", 1))
        if found is not None:
            likes = chosen_for(curve).calibration.parameters
            made.append(Miss("kernels", curve, missed(of_kernels(model, found, cards=1, likes=likes), curve)))
    return made


def old_curves() -> tuple[list[Curve], list[Curve]]:
    """The article's and the fleet's."""
    return curves(sweep.runs()), curves(fleet.runs())


def main() -> None:
    article, cards = old_curves()
    groups = {f"The article, {name}": [one for one in article if one.engine == name] for name in ("vllm", "lmdeploy")}
    groups |= {f"The fleet, {name}": [one for one in cards if one.workload == name] for name in FLEET}
    misses = {title: left_out(title, group) for title, group in groups.items()}
    everything = [miss for group in misses.values() for miss in group]
    for title, group in misses.items():
        table(title, group, [others(everything, miss) for miss in group])
    misses_today = today([*article, *cards])
    widths = [shipped_widths(miss.curve) for miss in misses_today]
    table("2024 by the shipped points of 2025 and 2026", misses_today, widths)
    misses_kernels = by_kernels([*article, *cards])
    widths = [shipped_widths(miss.curve) for miss in misses_kernels]
    table("2024 by kernels of today", misses_kernels, widths)


if __name__ == "__main__":
    main()
