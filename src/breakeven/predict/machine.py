"""A machine that no table knows, such as a CPU: a plain step time found from some of its levels predicts its others."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from msgspec import Struct

from breakeven.predict.calibrations import Figure
from breakeven.predict.closed import Closed, Waiting, closed_loop
from breakeven.predict.fit import SD_LOG, Floats, Prior, Seen, least, missed
from breakeven.predict.steptime import StepTime

PRIOR: Final[Mapping[str, Prior]] = MappingProxyType(
    {
        "fixed_s": Prior(1e-2, 2.0),
        "user_s": Prior(1e-3, 2.0),
        "token_s": Prior(1e-3, 2.0),
        "request_s": Prior(5e-3, 1.0),
        "prompts": Prior(1.1, 0.3),
        "burst": Prior(0.015, 0.7),
        "interrupts": Prior(1.0, 0.1),
    }
)
"""Hardly anything is held likely of the step; of the waiting, what users see who do not begin together."""
Z90: Final = 1.645
"""Of the normal distribution: 90 % lie within so many sd."""
_NEAR: Final = 1e-4


class Machine(Struct, frozen=True, kw_only=True):
    """A step takes fixed + (user + token) x users answering + token x prompt tokens read."""

    fixed_s: float
    user_s: float
    """Of an answering user, beside its token."""
    token_s: float
    request_s: float
    waiting: Waiting
    covariance: tuple[tuple[float, ...], ...]
    """Of the logs of all these, in the order of PRIOR."""
    sd_log: dict[str, float]
    """Of a single figure: how far the measured ones lie from what was fitted to them, SD_LOG at least."""

    def of(self, *, users: int, input_tokens: float, output_tokens: float) -> Closed:
        """What so many users would see on this machine, with the model and engine that it was measured with."""
        return _closed(self._logs(), Seen(users=users, input_tokens=input_tokens, output_tokens=output_tokens))

    def factor(
        self,
        figure: Figure,
        *,
        users: int,
        input_tokens: float,
        output_tokens: float,
    ) -> float:
        """Half-width of a 90 % interval: exp(1.645 sd), sd^2 of the parameters (delta method) and of a single figure.

        The further from the levels that were measured, the wider. It takes the step for a straight line in users.
        """
        asked = Seen(users=users, input_tokens=input_tokens, output_tokens=output_tokens)
        here = self._logs()
        value = math.log(getattr(_closed(here, asked), figure))
        slope = np.empty(len(here))
        for i in range(len(here)):
            near = here.copy()
            near[i] += _NEAR
            slope[i] = (math.log(getattr(_closed(near, asked), figure)) - value) / _NEAR
        variance = float(slope @ np.array(self.covariance) @ slope) + self.sd_log[figure] ** 2
        return math.exp(Z90 * math.sqrt(variance))

    @property
    def steps(self) -> StepTime:
        """The time of a step, for the scheduler."""
        return _steps(self.fixed_s, self.user_s, self.token_s)

    def _logs(self) -> Floats:
        values = {name: getattr(self, name, None) or getattr(self.waiting, name) for name in PRIOR}
        logs: Floats = np.log(np.array(list(values.values())))
        return logs


def fit_machine(seen: Sequence[Seen]) -> Machine:
    """From levels of one engine with one model on one machine; two with different users at least tell something.

    Where repeats of a level lie further apart than SD_LOG, the parameters are that much less sure (Birge's ratio).
    """
    found = least(seen, _closed, prior=PRIOR)
    rows = [missed(_closed(found.logs, one), one) for one in seen]
    sd_log = {name: max(sd, _rms([row[name] for row in rows if name in row])) for name, sd in SD_LOG.items()}
    ratio = max(sd_log[name] / SD_LOG[name] for name in ("ttft_s", "tpot_s"))
    values = dict(zip(PRIOR, np.exp(found.logs).tolist(), strict=True))
    waiting = Waiting(**{name: values.pop(name) for name in Waiting.__struct_fields__})
    covariance = (found.covariance * ratio**2).tolist()
    return Machine(**values, waiting=waiting, covariance=tuple(map(tuple, covariance)), sd_log=sd_log)


def _rms(errors: Sequence[float]) -> float:
    return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else 0.0


def _closed(logs: Floats, seen: Seen) -> Closed:
    values = dict(zip(PRIOR, np.exp(logs).tolist(), strict=True))
    return closed_loop(
        _steps(values["fixed_s"], values["user_s"], values["token_s"]),
        users=seen.users,
        input_tokens=seen.input_tokens,
        output_tokens=seen.output_tokens,
        waiting=Waiting(**{name: values[name] for name in Waiting.__struct_fields__}),
        request_s=values["request_s"],
    )


def _steps(fixed_s: float, user_s: float, token_s: float) -> StepTime:
    return StepTime(
        fixed_s=fixed_s,
        user_s=user_s,
        token_s=token_s,
        linear_read_s=0.0,
        linear_token_s=0.0,
        head_read_s=0.0,
        head_token_s=0.0,
        expert_read_s=0.0,
        expert_token_s=0.0,
        experts=0,
        experts_per_token=0,
        cached_s=0.0,
        windowed_s=0.0,
        pair_s=0.0,
        windowed_pair_s=0.0,
        window=math.inf,
    )
