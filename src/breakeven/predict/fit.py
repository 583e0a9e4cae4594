"""Finds what an engine gets out of a card from what was measured: robust least squares on the logs of TTFT and TPOT."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from breakeven.hardware import Gpu, ModelShape
from breakeven.predict.closed import Closed, Waiting, predict_closed
from breakeven.predict.steptime import Efficiency

Floats = npt.NDArray[np.float64]


class Seen(Struct, frozen=True, kw_only=True):
    """What was measured in a closed loop, in seconds; None where it was not."""

    users: int
    input_tokens: float
    output_tokens: float
    ttft_s: float | None = None
    tpot_s: float | None = None
    output_tok_per_s: float | None = None


class Point(Seen, frozen=True, kw_only=True):
    """The same of a known model on known cards."""

    model: ModelShape
    gpu: Gpu
    tp: int = 1


AnySeen = TypeVar("AnySeen", bound=Seen)
Model = Callable[[Floats, AnySeen], Closed | None]
"""What is predicted for a point from the logs of all parameters."""


class Parameters(Struct, frozen=True, kw_only=True):
    """All that a fit finds."""

    efficiency: Efficiency
    waiting: Waiting

    def of(self, point: Point) -> Closed | None:
        """What they predict for the settings of a point."""
        return predict_closed(
            point.model,
            point.gpu,
            self.efficiency,
            self.waiting,
            tp=point.tp,
            users=point.users,
            input_tokens=point.input_tokens,
            output_tokens=point.output_tokens,
        )


class Prior(NamedTuple):
    """What is held likely before anything was measured: a value, and the sd of its log."""

    value: float
    sd_log: float


PRIOR: Final[Mapping[str, Prior]] = MappingProxyType(
    {
        "bandwidth": Prior(0.8, 0.15),
        "compute": Prior(0.6, 0.25),
        "kv_bandwidth": Prior(0.75, 0.3),
        "step_s": Prior(1.7e-3, 0.8),
        "layer_s": Prior(1.4e-5, 0.7),
        "user_s": Prior(3e-5, 0.7),
        "hop_s": Prior(5e-6, 0.7),
        "link": Prior(0.8, 0.5),
        "request_s": Prior(0.04, 1.0),
        "prompts": Prior(1.2, 0.6),
        "burst": Prior(0.07, 0.8),
        "interrupts": Prior(0.95, 0.2),
    }
)
"""Shares and times as the shipped points of vLLM, SGLang and TensorRT-LLM on H100 and H200 have them, each alone."""
SD_LOG: Final[Mapping[str, float]] = MappingProxyType({"ttft_s": 0.2, "tpot_s": 0.05, "output_tok_per_s": 0.05})
"""How far a figure strays from a good model; a residual counts in these. A throughput counts where it is all there
is."""
HUBER: Final = 1.5
"""Residuals beyond so many sd pull with constant force."""
_STEPS: Final = 12
_CLOSE: Final = 1e-3
_TINY: Final = 1e-4


class Found(NamedTuple):
    """What least squares found."""

    logs: Floats
    """Of the parameters, in the order of the prior."""
    covariance: Floats
    """Of the logs, from points and prior; the spread of single figures (SD_LOG) comes on top."""


def fit(points: Sequence[Point], *, prior: Mapping[str, Prior] = PRIOR) -> Parameters:
    """What an engine gets out of cards, by `least`. Without points: the prior."""
    return parameters(least(points, lambda theta, point: parameters(theta, prior).of(point), prior=prior).logs, prior)


def least(points: Sequence[AnySeen], model: Model[AnySeen], *, prior: Mapping[str, Prior]) -> Found:
    """Minimise the Huber loss of log(predicted / measured) / SD_LOG plus ((log p - log prior) / sd)^2 over all
    parameters.

    Gauss-Newton with weights (IRLS) and a damping that grows while a step makes it worse.
    """
    centre, width = _centre(prior), np.array([row.sd_log for row in prior.values()])
    theta = centre.copy()
    best, damping = _loss(_residuals(points, model, theta), theta, centre, width), 1e-3
    normal = np.diag(1 / width**2)
    for _ in range(_STEPS):
        residuals, jacobian = _linearised(points, model, theta)
        weights = np.minimum(1.0, HUBER / np.maximum(np.abs(residuals), 1e-12))
        normal = (jacobian.T * weights) @ jacobian + np.diag(1 / width**2)
        slope = jacobian.T @ (weights * residuals) + (theta - centre) / width**2
        moved = False
        while not moved and damping < 1e6:
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slope)
            trial = theta + np.clip(step, -1.0, 1.0)
            loss = _loss(_residuals(points, model, trial), trial, centre, width)
            moved = loss < best
            damping = damping / 5 if moved else damping * 5
        if not moved or best - loss < _CLOSE:
            theta = trial if moved else theta
            break
        theta, best = trial, loss
    covariance = np.linalg.inv(normal).astype(np.float64)
    return Found(theta, covariance)


def parameters(theta: Floats, names: Iterable[str]) -> Parameters:
    """The parameters whose logs are `theta`."""
    values = dict(zip(names, np.exp(theta).tolist(), strict=True))
    waiting = {name: values.pop(name) for name in Waiting.__struct_fields__}
    return Parameters(efficiency=Efficiency(**values), waiting=Waiting(**waiting))


def logs(found: Parameters) -> Floats:
    """The logs of the parameters, in the order of PRIOR."""
    values = {name: getattr(found.efficiency, name) for name in Efficiency.__struct_fields__}
    values |= {name: getattr(found.waiting, name) for name in Waiting.__struct_fields__}
    found_logs: Floats = np.log(np.array([values[name] for name in PRIOR]))
    return found_logs


def as_prior(found: Parameters, *, narrower: float) -> Mapping[str, Prior]:
    """What is likely for one group once its likes are known: their values, `narrower` times as sure as PRIOR."""
    rows = zip(PRIOR.items(), np.exp(logs(found)).tolist(), strict=True)
    return {name: Prior(value, row.sd_log / narrower) for (name, row), value in rows}


def errors(found: Parameters, point: Point) -> dict[str, float]:
    """log(measured / predicted) of each figure that was measured; none where it does not fit on the cards."""
    return missed(found.of(point), point)


def missed(closed: Closed | None, point: Seen) -> dict[str, float]:
    """The same of a prediction."""
    if closed is None:
        return {}
    measured = {name: getattr(point, name) for name in SD_LOG}
    return {name: float(np.log(value / getattr(closed, name))) for name, value in measured.items() if value}


def _centre(prior: Mapping[str, Prior]) -> Floats:
    centre: Floats = np.log(np.array([row.value for row in prior.values()]))
    return centre


def _residuals(points: Sequence[AnySeen], model: Model[AnySeen], theta: Floats) -> Floats:
    rows = (_independent(missed(model(theta, point), point)) for point in points)
    found_errors: Floats = np.array([-error / SD_LOG[name] for row in rows for name, error in row.items()])
    return found_errors


def _independent(found: dict[str, float]) -> dict[str, float]:
    """In a closed loop TTFT and TPOT make the throughput, which must not count twice."""
    return {name: error for name, error in found.items() if len(found) < len(SD_LOG) or name != "output_tok_per_s"}


def _loss(residuals: Floats, theta: Floats, centre: Floats, width: Floats) -> float:
    size = np.abs(residuals)
    huber = np.where(size <= HUBER, size**2 / 2, HUBER * size - HUBER**2 / 2)
    return float(huber.sum() + (((theta - centre) / width) ** 2).sum() / 2)


def _linearised(points: Sequence[AnySeen], model: Model[AnySeen], theta: Floats) -> tuple[Floats, Floats]:
    here = _residuals(points, model, theta)
    columns = []
    for i in range(len(theta)):
        near = theta.copy()
        near[i] += _TINY
        columns.append((_residuals(points, model, near) - here) / _TINY)
    return here, np.stack(columns, axis=1)
