"""What the rules of a market say of each node, with evidence and causes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from breakeven.caution import Caution
from breakeven.fleet.causes import causes_of
from breakeven.fleet.facts import NodeFacts, node_facts, node_figures
from breakeven.fleet.inspect import slow_rows
from breakeven.fleet.rows import Rows
from breakeven.fleet.rules import Limit, Rule, RuleFile, figure, figures_of, form_of, metric_of
from breakeven.fleet.scores import Scores, Stratum


class Check(Struct, frozen=True, kw_only=True):
    """One rule of one node."""

    metric: str
    rule: str
    optional: bool
    value: float | None
    limit: float | None
    is_most: bool
    """The limit is an upper one."""
    nodes: int | None
    """How many the limit was worked out from."""
    middle: float | None
    """Their mean; for `robust` their median."""
    passed: bool | None
    """None: it could not be judged: no value, too few nodes, or a stratum whose nodes cannot be told apart."""
    words: str | None
    """The rule's own, for the host."""


class Verdict(Struct, frozen=True, kw_only=True):
    """All rules of one node in one stratum."""

    node: str
    stratum: int
    gpu: str
    market: str
    """As the platform calls it."""
    template: str
    passed: bool | None
    """Every rule that is not optional and could be judged is met; None: none could be."""
    checks: tuple[Check, ...]
    counted: str
    causes: tuple[Caution, ...] = ()
    """What `fleet inspect` says of a node that failed, with the cure."""


def verdicts(rows: Rows, scored: Scores, files: Sequence[RuleFile]) -> tuple[Verdict, ...]:
    """Every node of every stratum that a rule file is for."""
    at = figures_of(rows, scored, node_figures(rows, scored))
    slow = slow_rows(scored)
    facts = node_facts(rows, scored)
    found: list[Verdict] = []
    for place, stratum in enumerate(scored.strata):
        mine = np.flatnonzero(scored.stratum == place)
        for file in (one for one in files if _is_for(one, stratum)):
            columns = [list(_checks(rule, stratum, mine, at=at, slow=slow)) for rule in file.rules]
            found += [
                _verdict(facts[row], place, stratum, file, [column[i] for column in columns], is_slow=bool(slow[row]))
                for i, row in enumerate(mine)
            ]
    return tuple(found)


def _is_for(file: RuleFile, stratum: Stratum) -> bool:
    pairs = ((file.market, stratum.market), (file.gpu, stratum.gpu), (file.template, stratum.template))
    return all(wanted is None or wanted == own for wanted, own in pairs)


def _checks(rule: Rule, stratum: Stratum, mine: Any, *, at: dict[str, Any], slow: Any) -> Iterator[Check]:
    """One rule for each node of a stratum."""
    metric, (form, number) = metric_of(rule.metric), form_of(rule.rule)
    values = figure(rule.metric, at)[mine]
    limit = form.limit(values, number, metric.better == "lower")
    for value, is_slow in zip(values, slow[mine], strict=True):
        known = None if np.isnan(value) else float(value)
        passed = _passed(known, limit, stratum, is_slow=bool(is_slow))
        yield Check(
            metric=rule.metric,
            rule=rule.rule,
            optional=rule.optional,
            value=known,
            limit=limit.value,
            is_most=limit.is_most,
            nodes=limit.nodes,
            middle=limit.middle,
            passed=passed,
            words=rule.words,
        )


def _passed(value: float | None, limit: Limit, stratum: Stratum, *, is_slow: bool) -> bool | None:
    if limit.by_test:
        return not is_slow if stratum.is_testable else None
    if value is None or limit.value is None:
        return None
    return value <= limit.value if limit.is_most else value >= limit.value


def _verdict(
    facts: NodeFacts, place: int, stratum: Stratum, file: RuleFile, checks: list[Check], *, is_slow: bool
) -> Verdict:
    judged = [one.passed for one in checks if not one.optional and one.passed is not None]
    passed = all(judged) if judged else None
    causes = causes_of(facts, is_slow=True, is_unlike=is_slow) if passed is False else []
    return Verdict(
        node=facts.node,
        stratum=place,
        gpu=stratum.gpu,
        market=file.address or stratum.market or "",
        template=stratum.template or "",
        passed=passed,
        checks=tuple(checks),
        counted=stratum.counted,
        causes=tuple(caution for _, caution in causes),
    )
