"""A calibration from step times of measured kernels, for cards under an engine of which no point was measured."""

import functools
from typing import Final

from msgspec.structs import replace

from breakeven.hardware import Gpu, ModelShape, find_gpu
from breakeven.hardware.silicon import LICENCE, Kernels, Step
from breakeven.predict.calibrations import Calibration, calibrations, choose
from breakeven.predict.closed import Closed
from breakeven.predict.fit import PRIOR, Floats, Parameters, Point, least, parameters
from breakeven.predict.steptime import Efficiency, step_time

HOST: Final = ("step_s", "user_s", "request_s")
"""What kernels do not hold: scheduling, sampling, HTTP."""


def lacks_points(model: ModelShape, gpu: Gpu, engine: str) -> bool:
    """The table has none of the engine on the card, so that kernels tell more of it (docs/PREDICTION.md, kernels)."""
    kind = "experts" if model.experts else "dense"
    return not any((row.kind, row.engine, row.gpu) == (kind, engine, gpu.key) for row in calibrations())


def kernel_row(model: ModelShape, gpu: Gpu, engine: str, found: Kernels, *, cards: int) -> Calibration:
    """The calibration for a model on some cards: by the kernels, and what the engine does on its other cards."""
    likes = choose(model, gpu, engine=engine).calibration
    return replace(
        likes,
        engine=engine,
        gpu=gpu.key,
        precision=model.measured_as,
        version=found.version,
        parameters=of_kernels(model, found, cards=cards, likes=likes.parameters),
        models=(model.key,),
        points=len(found.steps),
        measured="",
        source=found.source,
        licence=LICENCE,
        kernels=True,
    )


@functools.lru_cache(maxsize=256)
def of_kernels(model: ModelShape, found: Kernels, *, cards: int, likes: Parameters) -> Parameters:
    """Shares and times of layers that make the kernels' step times, by `least`; HOST and the waiting of `likes`."""
    shares = _fitted(model, found, cards)
    host = {name: getattr(likes.efficiency, name) for name in HOST}
    return Parameters(efficiency=replace(shares, **host), waiting=likes.waiting)


@functools.lru_cache(maxsize=256)
def _fitted(model: ModelShape, found: Kernels, cards: int) -> Efficiency:
    gpu = find_gpu(found.gpu)

    def stepped(theta: Floats, point: Point) -> Closed:
        steps = step_time(model, gpu, parameters(theta, PRIOR).efficiency, tp=cards)
        one_s = (
            steps.step_s(0, 0, point.users, point.users * point.input_tokens)
            if point.users
            else steps.step_s(point.input_tokens, 0, 0, 0)
        )
        return Closed(ttft_s=one_s, tpot_s=one_s, output_tok_per_s=1 / one_s, bound="bandwidth", slots=1)

    points = [_point(model, gpu, cards, step) for step in found.steps]
    return parameters(least(points, stepped, prior=PRIOR).logs, PRIOR).efficiency


def _point(model: ModelShape, gpu: Gpu, cards: int, step: Step) -> Point:
    """A step as a point whose TPOT is the step."""
    return Point(
        model=model,
        gpu=gpu,
        tp=cards,
        users=step.users,
        input_tokens=step.tokens,
        output_tokens=1,
        tpot_s=step.seconds,
    )
