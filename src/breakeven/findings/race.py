"""Which setting to try next: those that may still be the best, until the leader is surely good enough.

Pure: the same tries and seed give the same answer, so a search that was killed goes on as if it had not been.

- **What is not tried yet** is foretold from what was: a Gaussian process on the log of the figure, whose kernel is a
  sum of parts for single settings, for pairs and for all at once (near numbers are alike, choices are not). The
  next is the one with the greatest expected improvement over the leader (Jones, Schonlau, Welch 1998), as long as
  that is more than LEAST_GAIN.
- **What was tried** races: a setting is out when it is surely worse than the leader. Of the leader and the one that
  may be most above it, the one that is known less is measured again (as LUCB, Kalyanakrishnan et al. 2012). It ends
  when the leader is surely within `margin` of every other.

How far repeats of one setting lie apart is taken to be alike for all settings and pooled over them: two repeats alone
would have an interval that tells nothing (Student's t with one degree of freedom is 12.7).
"""

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from breakeven.metrics.statistics import t_quantile

Array = NDArray[np.float64]
Value = float | str

LEAST_GAIN: Final = 0.001
"""Expected improvement, as a share, below which nothing new is tried."""
PRIOR_SD: Final = 0.03
PRIOR_DF: Final = 4
"""What is taken for the spread between repeats before any were seen, and how many degrees of freedom that counts as."""
_LEAST_FAILED: Final = 3
_KERNELS: Final = ((0.8, 0.15, 0.05), (0.55, 0.35, 0.1), (0.3, 0.4, 0.3))
"""Shares of the variance for single settings, pairs, and the setting as a whole; the likeliest is taken."""
_LENGTH: Final = 1.0
"""Steps of a number over which figures are alike."""
_NORMAL: Final = NormalDist()


class Try(NamedTuple):
    """What is known of one setting. Of an untried one everything but its values is empty."""

    name: str
    values: Mapping[str, Value]
    """Numbers by their place in the order of their values, choices by name."""
    logs: tuple[float, ...] = ()
    """Log of the figure of each repeat; more is better."""
    sds: tuple[float | None, ...] = ()
    """Of each by its own interval; None where it has none."""
    has_failed: bool = False
    """It does not start, runs out of memory, or gives nothing at the service level."""

    @property
    def mean(self) -> float:
        return fmean(self.logs)


class Next(NamedTuple):
    """What to measure, and why."""

    name: str
    why: Literal["spread", "gain", "race"]


class Known(NamedTuple):
    """A tried setting: its mean, and the variance of that."""

    one: Try
    mean: float
    variance: float


def next_try(tries: Sequence[Try], *, seed: int = 0, margin: float = 0.05, most_repeats: int = 5) -> Next | None:
    """What to measure next; None when the search is over."""
    skipped = {one.name for one in skipped_for_neighbours(tries)}
    tried = [one for one in tries if one.logs]
    left = [one for one in tries if not one.logs and not one.has_failed and one.name not in skipped]
    random.Random(seed).shuffle(left)
    model = _Model(tries)
    done = len(tried) + sum(one.has_failed for one in tries)
    if left and (done < first_tries(tries) or not tried):
        return Next(model.least_known(left).name, "spread")
    if not tried:
        return None
    if left:
        gain, best = model.greatest_gain(left)
        if gain > LEAST_GAIN:
            return Next(best.name, "gain")
    return _race(known(tried), margin=margin, most_repeats=most_repeats)


def first_tries(tries: Sequence[Try]) -> int:
    """Settings spread out before any is foretold: as many as there are parts for single settings, at most a third."""
    values = [{one.values.get(name) for one in tries} for name in _names(tries)]
    parts = 1 + sum(len(each) - 1 for each in values)
    return min(max(4, min(parts, len(tries) // 3)), len(tries))


def known(tried: Sequence[Try]) -> list[Known]:
    """Mean and variance of each, best first."""
    pooled, _ = spread(tried)
    found = [Known(one, one.mean, max(pooled**2, _own(one)) / len(one.logs)) for one in tried]
    return sorted(found, key=lambda one: -one.mean)


def spread(tried: Sequence[Try]) -> tuple[float, int]:
    """Standard deviation of one repeat, pooled over all settings with what is taken beforehand, and its df."""
    df = PRIOR_DF + sum(len(one.logs) - 1 for one in tried)
    squares = sum((log - one.mean) ** 2 for one in tried for log in one.logs)
    return math.sqrt((PRIOR_DF * PRIOR_SD**2 + squares) / df), df


def contenders(tried: Sequence[Known]) -> list[Known]:
    """The leader, and those that are not surely worse than it."""
    if not tried:
        return []
    leader, t = tried[0], _t(tried)
    return [one for one in tried if one is leader or leader.mean - one.mean <= t * _together(leader, one)]


def _race(tried: Sequence[Known], *, margin: float, most_repeats: int) -> Next | None:
    leader, t = tried[0], _t(tried)
    open_ends = [
        (one.mean - leader.mean + t * _together(leader, one), one) for one in contenders(tried) if one is not leader
    ]
    doubts = [(loss, one) for loss, one in open_ends if loss > math.log(1 + margin)]
    for _, one in sorted(doubts, key=lambda doubt: -doubt[0]):
        pair = sorted((leader, one), key=lambda known: len(known.one.logs))
        again = next((known for known in pair if len(known.one.logs) < most_repeats), None)
        if again is not None:
            return Next(again.one.name, "race")
    return None


def _t(tried: Sequence[Known]) -> float:
    return t_quantile(spread([one.one for one in tried])[1], max(1, len(tried) - 1))


def _together(a: Known, b: Known) -> float:
    return math.sqrt(a.variance + b.variance)


def _own(one: Try) -> float:
    """Mean variance by the intervals of its own repeats."""
    given = [sd**2 for sd in one.sds if sd is not None]
    return fmean(given) if given else 0.0


def skipped_for_neighbours(tries: Sequence[Try]) -> list[Try]:
    """Untried settings that are left out for what failed beside them.

    A number beyond one that failed, all else alike, where on the other side of that one it went well; and a choice
    with which all of at least three tries failed, while with another it went well.
    """
    failed, went_well = [one for one in tries if one.has_failed], [one for one in tries if one.logs]
    untried = [one for one in tries if not one.logs and not one.has_failed]
    return [one for one in untried if _is_beyond(one, failed, went_well) or _has_bad_choice(one, failed, went_well)]


def _is_beyond(one: Try, failed: Sequence[Try], went_well: Sequence[Try]) -> bool:
    for name, value in one.values.items():
        if isinstance(value, str):
            continue
        for bad in _on_line(failed, one, name):
            for good in _on_line(went_well, one, name):
                if good < bad < value or value < bad < good:
                    return True
    return False


def _on_line(others: Sequence[Try], one: Try, name: str) -> list[float]:
    """Values of a number in settings that are alike in all else."""
    rest = {key: value for key, value in one.values.items() if key != name}
    alike = [
        x.values[name] for x in others if {k: v for k, v in x.values.items() if k != name} == rest and name in x.values
    ]
    return [value for value in alike if not isinstance(value, str)]


def _has_bad_choice(one: Try, failed: Sequence[Try], went_well: Sequence[Try]) -> bool:
    for name, value in one.values.items():
        bad = sum(x.values.get(name) == value for x in failed)
        if bad >= _LEAST_FAILED and went_well and not any(x.values.get(name) == value for x in went_well):
            return True
    return False


def _names(tries: Sequence[Try]) -> list[str]:
    return list(dict.fromkeys(name for one in tries for name in one.values))


class _Model:
    """The Gaussian process over all settings, given those that were tried."""

    def __init__(self, tries: Sequence[Try]) -> None:
        self._index = {one.name: number for number, one in enumerate(tries)}
        tried = [one for one in tries if one.logs]
        self._seen = [self._index[one.name] for one in tried]
        # where nothing was measured, for an even spread
        self._asked = [self._index[one.name] for one in tries if one.logs or one.has_failed]
        self._alike = _alike(tries)
        by_name = {one.one.name: one for one in known(tried)} if tried else {}
        self._y = np.array([by_name[one.name].mean for one in tried])
        self._noise = np.array([by_name[one.name].variance for one in tried])

    def least_known(self, left: Sequence[Try]) -> Try:
        """The one about which the tries so far say least."""
        cov = self._kernel(_KERNELS[0])
        rows = [self._index[one.name] for one in left]
        if not self._asked:
            return left[0]
        inner = cov[np.ix_(self._asked, self._asked)] + 0.01 * np.eye(len(self._asked))
        cross = cov[np.ix_(rows, self._asked)]
        told = np.einsum("ij,ij->i", cross, np.linalg.solve(inner, cross.T).T)
        return left[int(np.argmin(np.round(told, 9)))]

    def greatest_gain(self, left: Sequence[Try]) -> tuple[float, Try]:
        """The greatest expected improvement over the best mean, and whose it is."""
        means, sds = self._foretold([self._index[one.name] for one in left])
        best = float(self._y.max())
        gains = [_gain(float(mean) - best, float(sd)) for mean, sd in zip(means, sds, strict=True)]
        top = int(np.argmax(gains))
        return gains[top], left[top]

    def _kernel(self, shares: tuple[float, float, float]) -> Array:
        single, pairs, whole = self._alike
        return shares[0] * single + shares[1] * pairs + shares[2] * whole

    def _foretold(self, rows: Sequence[int]) -> tuple[Array, Array]:
        middle, scale = float(self._y.mean()), max(float(self._y.var()), 1e-4)
        fits = [
            (self._fit(scale * factor * self._kernel(shares)), scale * factor, shares)
            for shares in _KERNELS
            for factor in (1.0, 2.5)
        ]
        (_, inner), factor, shares = max(fits, key=lambda fit: fit[0][0])
        cov = factor * self._kernel(shares)
        cross = cov[np.ix_(rows, self._seen)]
        means = middle + cross @ np.linalg.solve(inner, self._y - middle)
        told = np.einsum("ij,ij->i", cross, np.linalg.solve(inner, cross.T).T)
        return means, np.sqrt(np.maximum(np.diag(cov)[list(rows)] - told, 1e-12))

    def _fit(self, cov: Array) -> tuple[float, Array]:
        """Log likelihood of the tries, and their covariance."""
        inner = cov[np.ix_(self._seen, self._seen)] + np.diag(self._noise)
        off = self._y - self._y.mean()
        _, logdet = np.linalg.slogdet(inner)
        return -0.5 * float(off @ np.linalg.solve(inner, off) + logdet), inner


def _gain(above: float, sd: float) -> float:
    z = above / sd
    return sd * (z * _NORMAL.cdf(z) + _NORMAL.pdf(z))


def _alike(tries: Sequence[Try]) -> tuple[Array, Array, Array]:
    """How alike settings are, 0 to 1: mean over single settings, mean over pairs of them, and as a whole."""
    each = [_alike_in(tries, name) for name in _names(tries)]
    if not each:
        one = np.eye(len(tries))
        return one, one, one
    single = np.mean(each, axis=0)
    pairs = [each[i] * each[j] for i in range(len(each)) for j in range(i)]
    whole = np.prod(each, axis=0)
    return single, np.mean(pairs, axis=0) if pairs else whole, np.eye(len(tries)) * 0.5 + 0.5 * whole


def _alike_in(tries: Sequence[Try], name: str) -> Array:
    values = [one.values.get(name) for one in tries]
    if all(isinstance(value, float | int) for value in values):
        steps = np.array(values, dtype=float)
        found: Array = np.exp(-0.5 * ((steps[:, None] - steps[None, :]) / _LENGTH) ** 2)
        return found
    return np.array([[float(a == b) for b in values] for a in values])
