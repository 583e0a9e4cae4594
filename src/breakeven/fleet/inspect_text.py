"""What was found of weak nodes, as text for a terminal or as JSON."""

from collections.abc import Iterator
from itertools import groupby

import msgspec

from breakeven.fleet.causes import KINDS
from breakeven.fleet.inspect import FALSE_SHARE, Found, Inspection
from breakeven.fleet.scores import CAUTIONS, UNTESTABLE, Stratum
from breakeven.fleet.strata_text import cautions_of, name_of
from breakeven.say import interval, percent, wrapped
from breakeven.units import counted


def to_json(found: Inspection) -> object:
    """For JSON, format 1, with every finding's evidence and cure as sentences."""
    told = msgspec.to_builtins(found)
    for one, made in zip(found.found, told["found"], strict=True):
        made["text"] = [f"{cause.text}: {cause.remedy}" for cause in one.causes]
    return told


def render(found: Inspection) -> str:
    """Findings by stratum, the slowest first; then what cannot be told."""
    parts = ([*_head(found)], *_by_stratum(found), [*_untestable(found)])
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _head(found: Inspection) -> Iterator[str]:
    if found.only is not None:
        yield from wrapped(f"Node {found.only}: {_nothing(found) if not found.found else 'what was found'}")
        return
    yield from wrapped(
        f"{found.jobs:,} jobs of {found.nodes:,} nodes. The speed of {found.tested:,} nodes could be tested: "
        f"{found.slow:,} {_are(found.slow)} more than 5 % slower than the median of their like, beyond their "
        f"own error, and {found.weak:,} of them weak: further off than their like differ, or with a cause. On "
        f"average {percent(FALSE_SHARE, digits=0)} of such calls are wrong."
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _nothing(found: Inspection) -> str:
    if found.untestable:
        return "nothing was found, and not all of its speeds could be tested"
    return "nothing was found; it is as fast as its like, as far as its jobs tell"


def _by_stratum(found: Inspection) -> Iterator[list[str]]:
    for stratum, group in groupby(found.found, key=lambda one: one.stratum):
        name = "All jobs of a node" if stratum is None else name_of(found.strata[stratum])
        lines = [f"{name[0].upper()}{name[1:]}"]
        for one in group:
            lines += _lines(one)
        yield lines


def _lines(one: Found) -> Iterator[str]:
    jobs = counted(one.jobs, "job")
    yield f"  {one.node}: {KINDS[one.kind]} ({', '.join(filter(None, (_gap(one), jobs)))})"
    for cause in one.causes:
        yield from wrapped(f"{cause.text}. {_sentence(cause.remedy)}", first="    - ", rest="      ")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _gap(one: Found) -> str:
    if not one.is_slow or one.gap is None:
        return ""
    low, high = one.gap_ci95
    ends = "" if low is None or high is None else f", {interval(-high, -low, lambda part: percent(part, digits=0))}"
    return f"{percent(-one.gap, digits=0)} slower{ends}"


def _untestable(found: Inspection) -> Iterator[str]:
    if not found.untestable:
        return
    yield (
        f"Untestable by speed ({found.untestable_nodes:,} nodes in no other stratum)"
        if found.only is None
        else "Untestable by speed"
    )
    named = ((_counted(found.strata[one.stratum]), sorted(UNTESTABLE & set(one.cautions))) for one in found.untestable)
    for caution, strata in cautions_of(named).items():
        yield from wrapped(f"{CAUTIONS[caution]}.", first="  - ", rest="    ")
        for name in strata:
            yield from wrapped(name, first="      ", rest="        ")


def _counted(one: Stratum) -> str:
    return f"{name_of(one)} ({counted(one.nodes, 'node')})"
