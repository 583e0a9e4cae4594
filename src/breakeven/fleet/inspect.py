"""Weak nodes of a fleet, each with its cause and the evidence; and what the data cannot tell."""

import difflib
import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from breakeven.caution import Caution
from breakeven.errors import UsageError, one_line
from breakeven.fleet.causes import Kind, causes_of
from breakeven.fleet.facts import NodeFacts, node_facts
from breakeven.fleet.rows import Rows
from breakeven.fleet.scores import Scores, Stratum, scores
from breakeven.fleet.spread import false_discovery

FORMAT: Final = 1
FALSE_SHARE: Final = 0.05
"""Of the nodes that are called slow, on average."""
FAILED_JOBS: Final = 2
"""Jobs that failed, from which on a node has trouble, where they are also a tenth of all."""
FAILED_JOBS_SHARE: Final = 0.1
FINE: Final = frozenset({"done", "partial", "waiting", "running"})


class Found(Struct, frozen=True, kw_only=True):
    """What was found of one node in one stratum."""

    node: str
    stratum: int | None
    """Its place in `Inspection.strata`; None: of all its jobs."""
    kind: Kind
    causes: tuple[Caution, ...]
    is_slow: bool = False
    """More than 5 % slower than the median of its stratum, beyond its own error."""
    is_unlike: bool = False
    """By more than 5 % further off than the nodes of its stratum differ, too."""
    jobs: int = 0
    gap: float | None = None
    """exp(score) - 1: -0.2 is a fifth slower than the median of its stratum."""
    gap_ci95: tuple[float | None, float | None] = (None, None)
    p: float | None = None
    """Of the gap: `p_gap` of scores."""
    p_unlike: float | None = None
    """`p_weak` of scores."""


class Untestable(Struct, frozen=True, kw_only=True):
    """A stratum whose nodes cannot be told apart by their speed."""

    stratum: int
    cautions: tuple[str, ...]
    """Rows of CAUTIONS (fleet/scores.py)."""


class Inspection(Struct, frozen=True, kw_only=True):
    """Of a whole set, or of one node."""

    format: int = FORMAT
    jobs: int
    nodes: int
    tested: int
    """Nodes whose speed was tested in some stratum."""
    slow: int
    """Nodes that are called more than 5 % slower than the median."""
    weak: int
    """Those of them that are unlike the others, or have a cause."""
    only: str | None
    """The node that was asked for."""
    strata: tuple[Stratum, ...]
    found: tuple[Found, ...]
    untestable: tuple[Untestable, ...]
    untestable_nodes: int
    """Nodes of no testable stratum."""


def inspect(rows: Rows, *, node: str | None = None) -> Inspection:
    """Test every node; with `node` tell that one's findings only. UsageError for a node that is not there."""
    if node is not None and node not in rows.node.names:
        raise UsageError(_no_node(rows, node))
    scored = scores(rows)
    facts = node_facts(rows, scored)
    testable = np.array([one.is_testable for one in scored.strata], dtype=bool)[scored.stratum]
    unlike = called_rows(scored, scored.p_weak, testable)
    slow = called_rows(scored, scored.p_gap, testable) | unlike
    found = [
        one
        for i, told in enumerate(facts)
        if (one := _found(scored, told, i, is_slow=bool(slow[i]), is_unlike=bool(unlike[i]))) is not None
    ]
    found += _failing(rows, scored)
    known = [one for one in found if node is None or one.node == node]
    tested = np.unique(scored.node[testable])
    return Inspection(
        jobs=len(rows),
        nodes=len(np.unique(rows.node.codes[rows.node.codes >= 0])),
        tested=len(tested),
        slow=len(np.unique(scored.node[slow])),
        weak=len({one.node for one in found if one.is_slow}),
        only=node,
        strata=scored.strata,
        found=tuple(sorted(known, key=_order)),
        untestable=tuple(
            Untestable(stratum=i, cautions=one.cautions)
            for i, one in enumerate(scored.strata)
            if not one.is_testable and (node is None or _is_in(rows, scored, node, i))
        ),
        untestable_nodes=len(np.setdiff1d(scored.node, tested)),
    )


def _no_node(rows: Rows, node: str) -> str:
    near = difflib.get_close_matches(node, rows.node.names, n=3, cutoff=0.5) or list(rows.node.names[:3])
    such = f", such as {', '.join(near)}" if near else ""
    return f"--node: no node of this set is called '{one_line(node, limit=60)}'; it has {len(rows.node.names):,}{such}"


def slow_rows(scored: Scores) -> NDArray[np.bool_]:
    """Rows that are called slower than the nodes of their stratum are, in strata that can be tested."""
    testable = np.array([one.is_testable for one in scored.strata], dtype=bool)[scored.stratum]
    return called_rows(scored, scored.p_weak, testable)


def called_rows(scored: Scores, p_of_row: NDArray[np.float64], testable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows that a test calls: Benjamini and Hochberg over nodes at 5 %.

    The p of a node with several strata is the least of them times their number (Bonferroni).
    """
    slow = np.zeros(len(scored), dtype=bool)
    rows = np.flatnonzero(testable & np.isfinite(p_of_row))
    if not len(rows):
        return slow
    nodes, place, counts = np.unique(scored.node[rows], return_inverse=True, return_counts=True)
    p = np.minimum(1.0, p_of_row[rows] * counts[place])
    least = np.ones(len(nodes))
    np.minimum.at(least, place, p)
    called = false_discovery(least, FALSE_SHARE)
    limit = least[called].max(initial=0.0)
    slow[rows] = called[place] & (p <= limit)
    return slow


def _found(scored: Scores, facts: NodeFacts, i: int, *, is_slow: bool, is_unlike: bool) -> Found | None:
    causes = causes_of(facts, is_slow=is_slow, is_unlike=is_unlike)
    if not causes:
        return None
    return Found(
        node=facts.node,
        stratum=int(scored.stratum[i]),
        kind=causes[0][0],
        causes=tuple(caution for _, caution in causes),
        is_slow=is_slow,
        is_unlike=is_unlike,
        jobs=facts.jobs,
        gap=_gap(float(scored.score[i])),
        gap_ci95=(_gap(float(scored.low[i])), _gap(float(scored.high[i]))),
        p=_known(scored.p_gap[i]),
        p_unlike=_known(scored.p_weak[i]),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _gap(log: float) -> float | None:
    return None if math.isnan(log) else math.expm1(log)


def _failing(rows: Rows, scored: Scores) -> list[Found]:
    """Nodes whose jobs fail: without a result, or without any rate where there should be one."""
    over = rows.node.codes >= 0
    fine = rows.outcome.is_in(*FINE) | (rows.outcome.codes < 0)
    bad = over & (~fine | ((scored.row_of_job < 0) & ~rows.outcome.is_in("waiting", "running")))
    count = len(rows.node.names)
    jobs, failed = (
        np.bincount(rows.node.codes[over], minlength=count),
        np.bincount(rows.node.codes[bad], minlength=count),
    )
    places = np.flatnonzero((failed >= FAILED_JOBS) & (failed >= FAILED_JOBS_SHARE * jobs))
    return [
        Found(
            node=rows.node.names[place],
            stratum=None,
            kind="technical",
            jobs=int(jobs[place]),
            causes=(
                Caution(
                    id="failed_jobs",
                    seen="{failed} of its {jobs} jobs gave no result",
                    advice="read what the jobs say; give it no work until one ends well",
                    values={"failed": int(failed[place]), "jobs": int(jobs[place])},
                ),
            ),
        )
        for place in places
    ]


def _is_in(rows: Rows, scored: Scores, node: str, stratum: int) -> bool:
    return bool(np.any((scored.stratum == stratum) & (scored.node == rows.node.code(node))))


def _order(one: Found) -> tuple[int, float, str]:
    """By stratum, the slowest first."""
    return (-1 if one.stratum is None else one.stratum, one.gap or 0.0, one.node)
