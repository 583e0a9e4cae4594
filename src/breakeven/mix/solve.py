"""The cheapest whole numbers of nodes that carry a load, as a mixed-integer linear program (HiGHS).

minimise    sum_i p_i n_i
subject to  sum_i z_kic >= 1                               each class c is carried,
            sum_c z_kic D_c / C_ic <= n_i - [k = i] y_i    and, with a spare, whichever node k is lost;
            least_i y_i <= n_i <= most_i y_i               a node is used or not, and some are let in eights only;
            sum_{i of card g} cards_i n_i <= A_g           no more cards than there are.

n, y whole. z: which part of a class a kind of node carries; a node may carry several, each for its share of the time.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from breakeven.errors import UsageError

Array = npt.NDArray[np.float64]

EXACT: Final = 1e-6
"""So near to the cheapest is the cheapest: solvers work in binary fractions."""
MOST_BRANCHES: Final = 2_000
"""A search ends here, with what is then known to be near the cheapest; the same on every machine, as a time is not."""
_OPTIONS: Final = {"output_flag": False, "mip_rel_gap": EXACT, "mip_max_nodes": MOST_BRANCHES, "threads": 1}
Term = tuple[int, float]


class Problem(NamedTuple):
    """A load and what could carry it. Arrays: I offers, C classes."""

    usd_per_h: Array
    """(I) of a node."""
    capacity: Array
    """(I, C) of a node; 0: it cannot serve the class."""
    demand: Array
    """(C) in the same units."""
    least: Array
    """(I) nodes, where any are taken."""
    most: tuple[tuple[Array, float], ...] = ()
    """Cards a node of each offer takes of a stock, (I), and how many that has."""
    spare: bool = False
    held: Array | None = None
    """(I) nodes that are taken in any case."""


class Solved(NamedTuple):
    """Whole nodes of each offer."""

    nodes: tuple[int, ...]
    within: float
    """The cheapest of all is at most this share cheaper: 0 where it is proven, up to rounding."""


class _Found(NamedTuple):
    values: Array
    within: float


class _Program:
    """Columns and rows of a program as they are gathered."""

    def __init__(self) -> None:
        self._cost: list[float] = []
        self._whole: list[int] = []
        self._ends: list[tuple[float, float]] = []
        self._starts: list[int] = [0]
        self._columns: list[int] = []
        self._values: list[float] = []
        self._limits: list[tuple[float, float]] = []

    def column(self, *, cost: float = 0.0, least: float = 0.0, most: float = math.inf, whole: bool = False) -> int:
        """Add a number that is to be found."""
        self._cost.append(cost)
        self._whole.append(int(whole))
        self._ends.append((least, most))
        return len(self._cost) - 1

    def row(self, terms: Iterable[Term], *, least: float = -math.inf, most: float = math.inf) -> None:
        """Add what a sum of columns must be."""
        for column, value in terms:
            self._columns.append(column)
            self._values.append(value)
        self._starts.append(len(self._columns))
        self._limits.append((least, most))

    def solve(self) -> _Found | None:
        """The columns' values; None where nothing fits."""
        import highspy

        solver = highspy.Highs()
        for name, value in _OPTIONS.items():
            solver.setOptionValue(name, value)
        solver.passModel(self._model(highspy))
        solver.run()
        info = solver.getInfo()
        if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
            return None
        values = np.array(solver.getSolution().col_value)
        return _Found(values, info.mip_gap if any(self._whole) else 0.0)

    def _model(self, highspy: Any) -> Any:
        """As HiGHS wants it: rows one after the other."""
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self._cost), len(self._limits)
        model.col_cost_ = np.array(self._cost)
        model.col_lower_, model.col_upper_ = np.array(self._ends).T.copy()
        model.row_lower_, model.row_upper_ = np.array(self._limits).T.copy()
        model.integrality_ = [highspy.HighsVarType(whole) for whole in self._whole]
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.array(self._starts, dtype=np.int32)
        model.a_matrix_.index_ = np.array(self._columns, dtype=np.int32)
        model.a_matrix_.value_ = np.array(self._values, dtype=np.float64)
        return model


def check_solver() -> None:
    """UsageError in one line where HiGHS is not installed."""
    try:
        import highspy  # noqa: F401
    except ImportError:
        raise UsageError("mix needs a solver of integer programs: pip install 'breakeven[mix]'") from None


def cheapest(problem: Problem) -> Solved | None:
    """The cheapest whole numbers of nodes; None where no numbers of them carry the load."""
    program = _Program()
    taken = _rows(program, problem)
    found = program.solve()
    return None if found is None else Solved(tuple(round(found.values[i]) for i in taken), found.within)


def most_carried(problem: Problem, nodes: Sequence[int] | None = None) -> float:
    """The largest part of the load, at most all of it, that fits: in `nodes`, else in whatever is available."""
    program = _Program()
    carried = program.column(cost=-1.0, most=1.0)
    _rows(program, problem, carried=carried, fixed=nodes)
    found = program.solve()
    return 0.0 if found is None else float(found.values[carried])


def _rows(
    program: _Program, problem: Problem, *, carried: int | None = None, fixed: Sequence[int] | None = None
) -> list[int]:
    """All of the program: nodes carry the load at the least cost, or as much of it as the column `carried` says.

    Gives the columns of how many nodes of each offer.
    """
    most = _enough(problem) if fixed is None else np.array(fixed, dtype=np.float64)
    least = most if fixed is not None else np.zeros(len(most)) if problem.held is None else problem.held
    cost = problem.usd_per_h if carried is None else np.zeros(len(most))
    offers = range(len(most))
    taken = [program.column(cost=cost[i], least=least[i], most=most[i], whole=fixed is None) for i in offers]
    used: list[int] = []
    if problem.spare or (problem.least > 1).any():
        used = [program.column(most=1.0, whole=True) for _ in offers]
        for i in offers:
            program.row([(taken[i], 1.0), (used[i], -most[i])], most=0.0)
            if fixed is None:
                program.row([(taken[i], 1.0), (used[i], -problem.least[i])], least=0.0)
    for cards, stock in problem.most if fixed is None else ():
        program.row([(taken[i], cards[i]) for i in offers], most=stock)
    for lost in offers if problem.spare else (None,):
        _carry(program, problem, taken=taken, gone={} if lost is None else {lost: used[lost]}, carried=carried)
    return taken


def _enough(problem: Problem) -> Array:
    """Of each offer as many nodes as carry all that it can carry, with a spare one: more are of no use."""
    with np.errstate(divide="ignore"):
        alone = np.where(problem.capacity > 0, problem.demand / problem.capacity, 0.0).sum(axis=1)
    counts = np.ceil(alone - 1e-9) + (1 if problem.spare else 0)
    return np.where(alone > 0, np.maximum(counts, problem.least), 0.0)


def _carry(
    program: _Program, problem: Problem, *, taken: Sequence[int], gone: Mapping[int, int], carried: int | None
) -> None:
    """The nodes carry every class, without those that are gone."""
    work: list[list[Term]] = [[] for _ in taken]
    for c in np.flatnonzero(problem.demand).tolist():
        able = np.flatnonzero(problem.capacity[:, c]).tolist()
        share = {i: program.column(most=1.0) for i in able}
        for i in able:
            work[i].append((share[i], problem.demand[c] / problem.capacity[i, c]))
        whole = [] if carried is None else [(carried, -1.0)]
        program.row([*((share[i], 1.0) for i in able), *whole], least=1.0 if carried is None else 0.0)
    for i, terms in enumerate(work):
        if terms:
            lost = [(gone[i], 1.0)] if i in gone else []
            program.row([*terms, (taken[i], -1.0), *lost], most=0.0)
