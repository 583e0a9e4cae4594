"""Verdicts in words for hosts, and in the form of Nosana's feedbackReport."""

from typing import Any

from breakeven.fleet.rules import metric_of
from breakeven.fleet.verdicts import Check, Verdict
from breakeven.say import short


def evidence(one: Check, *, counted: str) -> str:
    """`throughput at 1 user: 98.2 tok/s, at least 110.3 tok/s asked for (mean of 41 nodes 137.9)`."""
    metric = metric_of(one.metric)
    unit = metric.unit.replace("tok/s", "words/s") if counted == "words" else metric.unit
    if one.value is None:
        return f"{metric.label}: not measured"
    told = f"{metric.label}: {short(one.value)} {unit}"
    if one.limit is not None:
        asked = f"{told}, at {'most' if one.is_most else 'least'} {short(one.limit)} {unit} asked for"
        return asked if one.middle is None else f"{asked} ({_middle(one)} of {one.nodes} nodes {short(one.middle)})"
    if one.nodes is not None:
        return f"{told}, not judged: fewer than five nodes"
    way = {None: "not judged: its like cannot be told apart", True: "not called slow", False: "called slow by the test"}
    return f"{told}, {way[one.passed]}"


def _middle(one: Check) -> str:
    return "median" if one.rule.strip() == "robust" else "mean"


def message(one: Check, of: Verdict) -> str:
    """What a host reads of a rule that he failed: evidence, the rule's own words, then causes and cures."""
    causes = [part for cause in of.causes for part in (cause.text, cause.remedy)]
    parts = [evidence(one, counted=of.counted), one.words, *causes]
    return " ".join(f"{part[0].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def report(of: Verdict) -> dict[str, Any] | None:
    """A feedbackReport; None where nothing could be judged. A rule that was not judged is left out."""
    if of.passed is None:
        return None
    return {
        "marketAddress": of.market,
        "passed": of.passed,
        "metrics": [
            {
                "metricKey": metric_of(one.metric).key.format(t=of.template),
                "measuredValue": one.value,
                "ruleDescription": f"{one.metric}: {one.rule}",
                "passed": one.passed,
                "failureMessage": None if one.passed else message(one, of),
                "isOptional": one.optional,
            }
            for one in of.checks
            if one.passed is not None
        ],
    }


def reports(of: tuple[Verdict, ...]) -> list[dict[str, object]]:
    """A list of `{node, gpu, feedbackReport}`; nodes of which nothing could be judged are left out."""
    return [
        {"node": one.node, "gpu": one.gpu, "feedbackReport": made} for one in of if (made := report(one)) is not None
    ]
