"""Intervals: how sure a throughput or a percentile is, from one run alone."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.metrics.summary import NO_QUANTILE, Distribution, Estimate, Quantile

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Ends = tuple[float, float]
"""Of an interval; infinite where it is open."""
Cumulative = Callable[[Floats], Floats]
"""How much had come by each of some times."""

BATCH_COUNTS: Final = (10, 20, 40)
SHORTEST_BATCH_S: Final = 0.5
LEAST_WINDOW_S: Final = BATCH_COUNTS[0] * SHORTEST_BATCH_S * (1 - 1e-9)
"""A shorter one has no interval."""
MEMORY_PARTS: Final = 60
"""Of a window, for how long the throughput remembers."""
FEW_STRETCHES: Final = 20
"""No loop goes below in whose period ten fit into the window: of six parts each, the first pair alone is positive."""
_LEAST_DF: Final = 4
_LEAST_LEFT: Final = 0.2
SECTIONS: Final = 10
"""Of a window, for the intervals of percentiles."""
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
STATISTICS: Final = (*QUANTILES, "mean")
_TAIL: Final = 0.025
_TINY: Final = 1e-300


@functools.lru_cache(maxsize=256)
def t_quantile(df: int, tests: int = 1) -> float:
    """Two-sided 95 % quantile of Student's t: 2.262 at 9 degrees of freedom; 3.250 for 5 that shall hold together.

    Bisection on the regularised incomplete beta function: P(|T| > t) = I_{df/(df+t^2)}(df/2, 1/2). With `tests`
    Bonferroni's share of the 5 % for each.
    """
    low, high = 0.0, 700.0 * tests
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if _beta_fraction(df / (df + middle * middle), a=df / 2, b=0.5) > 2 * _TAIL / tests:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_tail(t: float, df: int) -> float:
    """P(T >= t) of Student's t."""
    half = _beta_fraction(df / (df + t * t), a=df / 2, b=0.5) / 2
    return half if t >= 0 else 1 - half


@functools.lru_cache(maxsize=1024)
def f_quantile(d1: int, d2: int, q: float) -> float:
    """The value that an F ratio of d1 and d2 degrees of freedom stays below with probability q: 4.256 at 2, 9, 0.95.

    Bisection on P(F <= x) = I_{d1 x / (d1 x + d2)}(d1/2, d2/2).
    """
    low, high = 0.0, 1.0
    while _beta_fraction(d1 * high / (d1 * high + d2), a=d1 / 2, b=d2 / 2) < q and high < 1e12:
        low, high = high, 2 * high
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        if _beta_fraction(d1 * middle / (d1 * middle + d2), a=d1 / 2, b=d2 / 2) < q:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_fraction(x: float, *, a: float, b: float) -> float:
    """I_x(a, b), by the continued fraction of DLMF 8.17.22 (Lentz), with the symmetry that makes it converge."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta_fraction(1.0 - x, a=b, b=a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(400):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / (1.0 + term * d or 1e-300)
        c = 1.0 + term / c or 1e-300
        fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return front * (fraction - 1.0)


def cumulative(times_s: Floats, weights: Floats) -> Cumulative:
    """What of these weights had come by a time, itself included."""
    order = np.argsort(times_s, kind="stable")
    sorted_s = times_s[order]
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    return lambda at_s: sums[np.searchsorted(sorted_s, at_s, side="right")]


def batch_half_width(by: Cumulative, *, open_s: float, close_s: float) -> float | None:
    """Widest 95 % half-width of a rate over 10, 20 and 40 batches of the window (t), each at least 0.5 s long.

    None where not even ten batches fit.
    """
    window_s = close_s - open_s
    counts = [count for count in BATCH_COUNTS if window_s / count >= SHORTEST_BATCH_S * (1 - 1e-9)]
    if not counts:
        return None
    edges_s = [np.linspace(open_s, close_s, count + 1) for count in counts]
    sums = np.split(by(np.concatenate(edges_s)), np.cumsum([len(edges) for edges in edges_s])[:-1])
    rates = [np.diff(part) / (window_s / count) for part, count in zip(sums, counts, strict=True)]
    return max(t_quantile(len(rate) - 1) * float(np.std(rate, ddof=1)) / math.sqrt(len(rate)) for rate in rates)


class Memory(NamedTuple):
    """How long a throughput remembers."""

    stretches: float
    """To how many independent parts the window amounts: its length over twice the time that the speed remembers."""
    half_width: float
    """95 % of the mean, with that memory."""


def rates_of(by: Cumulative, edges_s: Floats) -> Floats:
    """How much came a second between neighbouring times."""
    return np.asarray(np.diff(by(edges_s)) / np.diff(edges_s))


def memory(rates: Floats) -> Memory | None:
    """From the autocovariances of the rates of a window's parts, summed up to the first two in a row that are negative.

    Geyer's initial positive sequence (Stat. Sci. 7, 1992): the variance of a mean of n is S / n with S the sum of c_k
    over all lags, and n c_0 / S independent values tell as much. About their own mean the 2 K + 1 lags that are summed
    lack (2 K + 1) / n of S, which is given back. None where nothing varies.
    """
    n, off = len(rates), rates - rates.mean()
    if off @ off <= _TINY:
        return None
    covariances = np.correlate(off, off, mode="full")[n - 1 :] / n
    pairs = covariances[::2] + covariances[1::2]
    ends = int(np.argmax(pairs <= 0)) or 1
    total = 2 * float(pairs[:ends].sum()) - float(covariances[0])
    total = max(total, 0.0) / max(_LEAST_LEFT, 1 - (4 * ends - 1) / n)
    stretches = min(float(n), n * float(covariances[0]) / max(total, _TINY))
    t = t_quantile(max(_LEAST_DF, math.floor(stretches) - 1))
    return Memory(stretches=stretches, half_width=t * math.sqrt(total / n))


def half_width(by: Cumulative, *, open_s: float, close_s: float) -> float | None:
    """The batch half-width, and that of a throughput with a long memory if it is wider; None in a window under 5 s."""
    batches = batch_half_width(by, open_s=open_s, close_s=close_s)
    if batches is None:
        return None
    found = memory(rates_of(by, np.linspace(open_s, close_s, MEMORY_PARTS + 1)))
    return batches if found is None or found.stretches >= FEW_STRETCHES else max(batches, found.half_width)


def rate_estimate(by: Cumulative, *, open_s: float, close_s: float) -> Estimate:
    """What came inside the window over its length, with its interval.

    Where nothing arrived the rate is 0 and has no interval: batches that are all empty tell nothing of the doubt.
    """
    first, last = by(np.array([open_s, close_s]))
    value = float(last - first) / (close_s - open_s)
    half = half_width(by, open_s=open_s, close_s=close_s) if value else None
    return Estimate(value=value, ci95=(None, None) if half is None else (max(0.0, value - half), value + half))


def quantile_ranks(n: int, q: float) -> tuple[int | None, int | None]:
    """1-based ranks whose order statistics enclose the q-quantile with 95 %, by the binomial; None: n is too small.

    The k-th smallest of n is below the quantile unless fewer than k values are: P = P(Bin(n, q) >= k).
    """
    centre, spread = n * q, math.sqrt(n * q * (1 - q)) + 1
    low = max(0, math.floor(centre - 8 * spread))
    high = min(n, math.ceil(centre + 8 * spread))
    below = low + np.arange(high - low + 1)
    mode = min(max(math.floor((n + 1) * q), low), high)
    steps = np.log((n - below[:-1]) / (below[:-1] + 1.0)) + math.log(q / (1 - q))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    logs += _log_pmf(n, k=mode, q=q) - logs[mode - low]
    cdf = np.cumsum(np.exp(logs))
    lower = int(np.searchsorted(cdf, _TAIL, side="right"))  # how many k have P(Bin <= k) <= 0.025
    upper = int(np.searchsorted(cdf, 1 - _TAIL - 1e-12, side="left"))
    lower_rank = low + lower
    upper_rank = low + upper + 1
    return (lower_rank if lower_rank >= 1 else None), (upper_rank if upper_rank <= n else None)


def _log_pmf(n: int, *, k: int, q: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(q) + (n - k) * math.log1p(-q)


class Counted:
    """Values by rank: the i-th smallest, counted from 0. Each different one is kept once, with how often it came."""

    def __init__(self, values: Floats, times: Whole | None = None) -> None:
        self.values, place = np.unique(values, return_inverse=True)
        self.times = np.bincount(place, weights=times, minlength=len(self.values)).astype(np.int64)
        self._upto = np.cumsum(self.times)

    def plus(self, more: "Counted") -> "Counted":
        """These and more."""
        return Counted(
            np.concatenate([self.values, more.values]),
            np.concatenate([self.times, more.times]),
        )

    def __len__(self) -> int:
        return int(self._upto[-1]) if len(self._upto) else 0

    def __getitem__(self, rank: int, /) -> float:
        return float(self.values[np.searchsorted(self._upto, rank, side="right")])

    def at(self, q: float) -> float:
        """The q-percentile: the ceil(n q)-th smallest."""
        return self[max(1, math.ceil(len(self) * q - 1e-9)) - 1]

    def upto(self, value: float) -> int:
        """How many are at most this."""
        place = int(np.searchsorted(self.values, value, side="right"))
        return int(self._upto[place - 1]) if place else 0

    def mean(self) -> float:
        return float(self.values @ self.times) / len(self)


class Sample(NamedTuple):
    """Values, and the same by the section of the window that they fall in; what never came is infinite."""

    whole: Counted
    parts: tuple[Counted, ...] = ()
    """Empty where it is not known when they came."""
    widening: float = 1.0
    """Of what the sections say: more than 1 where the speed remembers for longer than one of them."""

    def distribution(self) -> Distribution:
        """Of values that all came."""
        if not len(self.whole):
            return Distribution()
        quantiles = {name: _quantile(self, q=q) for name, q in QUANTILES.items()}
        return Distribution(n=len(self.whole), censored=0, mean=self.whole.mean(), **quantiles)


def sections(at_s: Sequence[float] | Floats, *, open_s: float, close_s: float) -> Whole:
    """In which of the window's ten equal sections each of some times lies."""
    share = (np.asarray(at_s, dtype=np.float64) - open_s) / (close_s - open_s)
    return np.clip(np.floor(SECTIONS * share), 0, SECTIONS - 1).astype(np.int64)


def _sample(values: Floats, within: Whole | None, widening: float) -> Sample:
    if within is None:
        return Sample(Counted(values))
    parts = tuple(Counted(values[within == section]) for section in range(SECTIONS))
    return Sample(Counted(values), parts, widening)


def distribution(
    values: Sequence[float] | Floats,
    *,
    waited: Sequence[float] = (),
    cut: Sequence[float] = (),
    within: Whole | None = None,
    widening: float = 1.0,
) -> Distribution:
    """Percentiles with intervals; each of `waited` never came to an end within that time and ranks as +infinity.

    So does each of `cut`, but as nobody knows how long it would have taken, a lower end is also that without them.
    `within` has the section of each value, then of each that waited, then of each cut; `widening` is that of a sample.
    The q-percentile is the ceil(n q)-th smallest value. It is undefined below n = 1 / (1 - q).
    """
    known, waits = np.asarray(values, dtype=np.float64), np.asarray([*waited, *cut], dtype=np.float64)
    n, censored = len(known) + len(waits), len(waits)
    if n == 0:
        return Distribution()
    ranked = np.concatenate([known, np.full(censored, np.inf)])
    came = n - len(cut)
    sample = _sample(ranked, within, widening)
    uncut = _sample(ranked[:came], None if within is None else within[:came], widening) if 0 < came < n else None
    least = np.sort(np.concatenate([known, waits])) if censored else None
    quantiles = {name: _quantile(sample, q=q, least=least, uncut=uncut) for name, q in QUANTILES.items()}
    return Distribution(n=n, censored=censored, mean=None if censored else float(np.mean(known)), **quantiles)


def inverted(of: Distribution, *, mean: float | None = None) -> Distribution:
    """1 / each percentile: the p95 of a speed is what 95 % reach. The `mean` of 1 / x is not 1 / the mean of x."""
    quantiles = {name: _inverse(of.at(name)) for name in QUANTILES}
    return Distribution(n=of.n, censored=of.censored, mean=mean, **quantiles)


def _inverse(one: Quantile) -> Quantile:
    low, high = one.ci95
    return Quantile(value=reciprocal(one.value), ci95=(reciprocal(high), reciprocal(low)))


def reciprocal(value: float | None) -> float | None:
    """1 / value; None for None, for 0 and where it would not be finite."""
    return 1 / value if value is not None and value > _TINY else None


def _quantile(sample: Sample, *, q: float, least: Floats | None = None, uncut: Sample | None = None) -> Quantile:
    """`least` holds the known values and, for those that never came to an end, how long they were waited for."""
    n = len(sample.whole)
    if n < least_values(q):
        return NO_QUANTILE
    value = sample.whole.at(q)
    low, high = _ends(sample, q=q)
    if uncut is not None:
        low = min(low, _ends(uncut, q=q)[0])
    return Quantile(
        value=_finite(value),
        ci95=(_finite(low), _finite(high)),
        more_than=None if least is None or math.isfinite(value) else float(least[max(1, math.ceil(n * q - 1e-9)) - 1]),
        too_few=math.isfinite(value) and any(len(part) < least_values(q) for part in sample.parts),
    )


def least_values(q: float) -> int:
    """How many values a q-percentile needs: 2 for p50, 20 for p95."""
    return round(1 / (1 - q))


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _ends(sample: Sample, *, q: float) -> Ends:
    """The widest of the order statistics and of both ways to let the sections say how much a percentile wavers."""
    each = [_by_order(sample.whole, q=q)]
    if sample.parts and math.isfinite(sample.whole.at(q)):
        each += [_by_sections(sample, q=q), _by_shares(sample, q=q, order=each[0])]
    return min(low for low, _ in each), max(high for _, high in each)


def _by_order(values: Counted, *, q: float) -> Ends:
    """As if the values were independent."""
    low, high = quantile_ranks(len(values), q)
    return -math.inf if low is None else values[low - 1], math.inf if high is None else values[high - 1]


def _by_sections(sample: Sample, *, q: float) -> Ends:
    """t over the sections' own percentiles; no wider than the value where a section holds too few.

    A section whose percentile falls on what never came is left out, if half of them are there.
    """
    value = sample.whole.at(q)
    if min(map(len, sample.parts)) < least_values(q):
        return value, value
    own = [found for part in sample.parts if math.isfinite(found := part.at(q))]
    if len(own) < SECTIONS / 2:
        return value, value
    half = sample.widening * t_quantile(len(own) - 1) * float(np.std(own, ddof=1)) / math.sqrt(len(own))
    return max(0.0, value - half), value + half


def _by_shares(sample: Sample, *, q: float, order: Ends) -> Ends:
    """t over the share of each section's values that do not exceed the percentile, read back as percentiles.

    Woodruff, J. Am. Stat. Assoc. 47, 1952, with the sections as clusters: values that came together count as one. Where
    the upper share is above all values, the largest of them is the end if order statistics have one.
    """
    whole, value, count = sample.whole, sample.whole.at(q), len(sample.parts)
    share = whole.upto(value) / len(whole)
    off = np.array([part.upto(value) - share * len(part) for part in sample.parts])
    error = math.sqrt(float(off @ off) / (count * (count - 1))) * count / len(whole)
    half = sample.widening * t_quantile(count - 1) * error
    low, high = math.floor(len(whole) * (q - half) + 1e-9), math.ceil(len(whole) * (q + half) - 1e-9) + 1
    most = whole[len(whole) - 1] if math.isfinite(order[1]) else math.inf
    return whole[low - 1] if low >= 1 else -math.inf, whole[high - 1] if high <= len(whole) else most
