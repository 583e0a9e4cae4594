"""The measurements that the shipped calibrations rest on, as points of a fit."""

from collections import defaultdict

from breakeven.hardware import find_gpu, find_model
from breakeven.predict.fit import Point
from breakeven.predict.levels import Calibrated, Key, key_of
from breakeven.reference.serving import ServingPoint, serving_points


def shipped_points() -> tuple[list[Calibrated], dict[Key, set[str]]]:
    """All of serving.csv, and the months in which each key was measured."""
    months: dict[Key, set[str]] = defaultdict(set)
    points = []
    for row in serving_points():
        one = calibrated(row)
        months[one.key].add(row.measured)
        points.append(one)
    return points, months


def calibrated(row: ServingPoint) -> Calibrated:
    """One line as a point; where the engine's version was not told, its month stands for it."""
    model = find_model(row.model).kept_as(row.precision, kv_bits=row.kv_bits)
    ttft_s, tpot_s = row.ttft_ms / 1e3, row.tpot_ms / 1e3
    point = Point(
        model=model,
        gpu=find_gpu(row.gpu),
        tp=row.tp,
        users=row.users,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        output_tok_per_s=row.users * row.output_tokens / (ttft_s + (row.output_tokens - 1) * tpot_s),
    )
    return Calibrated(key_of(row.engine, row.version or row.measured, point), point)
