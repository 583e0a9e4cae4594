"""What a formula may call besides + - * / **: the handful of functions that the page has in JavaScript as well.

Every function takes NumPy columns that broadcast. +inf stands for never, NaN for undefined; results make None of both.
Money over time is by the month of 730.5 h: month m = 1, 2, … pays at its end, its rent has fallen for (m - 1)/12 years.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from breakeven.units import H_PER_MONTH

Array = NDArray[np.float64]

MONTHS_PER_YEAR: Final = 12
LAST_MONTH: Final = 2.0**20
"""What is not repaid in so many months never is: 87,000 years."""
_HALVINGS: Final = 21
_RATE_HALVINGS: Final = 200


def over(numerator: Array, denominator: Array) -> Array:
    """Numerator / denominator where the denominator is above 0, else never: at no price, at no load."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    never = np.where(np.isnan(top) | np.isnan(bottom), np.nan, np.inf)
    return np.asarray(np.divide(top, bottom, out=never, where=bottom > 0), dtype=np.float64)


def within(value: Array, most: Array) -> Array:
    """The value where it is at most `most`, else never: there is not enough of it."""
    return np.where(value > most, np.inf, value)


def known(value: Array, condition: Array) -> Array:
    """The value where `condition` is finite, else undefined."""
    return np.where(np.isfinite(condition), value, np.nan)


def up(value: Array) -> Array:
    """Rounded up to a whole number; a hair above one is rounding, not a card."""
    return np.ceil(value - 1e-9)


def whole_months(years: Array) -> Array:
    """Whole months, at least one."""
    return np.maximum(np.rint(years * MONTHS_PER_YEAR), 1.0)


def present_h(months: Array, decline: Array, discount: Array) -> Array:
    """Present value of 1 USD an hour paid for so many months, falling by `decline` a year; hours where neither is."""
    monthly = _monthly(discount)
    return H_PER_MONTH * monthly * _geometric((1 - decline) ** (1 / MONTHS_PER_YEAR) * monthly, months)


def kept(hours: Array, decline: Array) -> Array:
    """Mean of a rent over the first `hours` while it falls by `decline` a year, as a share of the first month's."""
    month = np.floor(hours / H_PER_MONTH)
    step = (1 - decline) ** (1 / MONTHS_PER_YEAR)
    passed = H_PER_MONTH * _geometric(step, month) + (hours - H_PER_MONTH * month) * step**month
    return np.where((decline == 0) | (hours == 0), 1.0, passed / hours)


def repaid_h(investment: Array, profit: Array, revenue: Array, decline: Array, discount: Array) -> Array:
    """Hours after which what was earned has repaid the investment, even within a month; never where it does not.

    `profit` is the first month's, of which `revenue` falls by `decline` a year. Without decline and discount this is
    investment / profit.
    """
    investment, profit, revenue, decline, discount = np.broadcast_arrays(investment, profit, revenue, decline, discount)
    plain = over(investment, profit)
    if not (np.any(decline > 0) or np.any(discount > 0)):
        return plain
    step, monthly, running = (1 - decline) ** (1 / MONTHS_PER_YEAR), _monthly(discount), revenue - profit

    def earned(months: Array) -> Array:
        first, second = _geometric(step * monthly, months), _geometric(monthly, months)
        return np.where(months == 0, 0.0, H_PER_MONTH * monthly * (revenue * first - running * second))

    best = np.floor(np.log(running / revenue) / np.log(step)) + 1
    best = np.where((step < 1) & (running > 0) & np.isfinite(best), np.clip(best, 0, LAST_MONTH), LAST_MONTH)
    low, high = np.zeros_like(best), best
    for _ in range(_HALVINGS):
        middle = np.floor((low + high) / 2)
        done = earned(middle) >= investment
        low, high = np.where(done, low, middle), np.where(done, middle, high)
    before = np.maximum(high - 1, 0)
    part = (investment - earned(before)) / (earned(high) - earned(before))
    never = (profit <= 0) | ~(earned(high) >= investment)
    found = np.where(never, np.inf, (before + part) * H_PER_MONTH)
    unknown = np.isnan(investment) | np.isnan(profit)
    return np.where(unknown, np.nan, np.where((decline == 0) & (discount == 0), plain, found))


def rate_of_return(
    investment: Array, revenue: Array, running: Array, decline: Array, residual: Array, months: Array
) -> Array:
    """The one rate a year at which the monthly cash flow is worth nothing; undefined where none fits, or several."""
    columns = np.broadcast_arrays(investment, revenue, running, decline, residual, months)
    return np.array([_rate(flows(*(float(value) for value in row))) for row in zip(*columns, strict=True)])


def flows(investment: float, revenue: float, running: float, decline: float, residual: float, months: float) -> Array:
    """The cash flow itself: minus the purchase, then every month's profit, the resale with the last."""
    earned = revenue * (1 - decline) ** (np.arange(round(months)) / MONTHS_PER_YEAR) - running
    found = np.concatenate([[-investment], earned * H_PER_MONTH])
    found[-1] += residual * investment
    return found


def _rate(flow: Array) -> float:
    """By halving growth = 1 / (1 + rate a month), scaled so that it cannot overflow."""
    signs = np.sign(flow[flow != 0])
    if np.count_nonzero(np.diff(signs)) != 1:
        return float("nan")
    months = np.arange(flow.size)

    def rises(growth: float) -> bool:
        powers = growth**months if growth <= 1 else growth ** (months - float(flow.size - 1))
        return bool(np.sum(flow * powers) > 0) == bool(signs[-1] > 0)

    low, high = 0.0, 1.0
    while not rises(high) and high < 1e9:
        high *= 2
    for _ in range(_RATE_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) else (middle, high)
    return float((2 / (low + high)) ** MONTHS_PER_YEAR - 1)


def _monthly(discount: Array) -> Array:
    return np.asarray((1 + discount) ** (-1 / MONTHS_PER_YEAR), dtype=np.float64)


def _geometric(ratio: Array, n: Array) -> Array:
    """1 + q + q^2 + … + q^(n-1), exact also where q is nearly 1."""
    special = (ratio == 1) | (ratio == 0)
    safe = np.where(special, 0.5, ratio)
    return np.where(special, np.where(ratio == 1, n, np.minimum(n, 1.0)), np.expm1(n * np.log(safe)) / (safe - 1))


PRIMITIVES: Final[dict[str, Callable[..., Array]]] = {
    one.__name__: one for one in (over, within, known, up, whole_months, present_h, kept, repaid_h, rate_of_return)
}
"""By name, as formulas call them and as the page's `F` has them."""
