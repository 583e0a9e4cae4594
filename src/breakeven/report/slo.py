"""What a run says of its service level: goodput and verdict of every level, and what a search found."""

from collections.abc import Iterator

from breakeven.compare.words import ONLY, next_levels_text
from breakeven.findings import names
from breakeven.findings.level import narrowing, own_levels
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.say import percent
from breakeven.table import Styled
from breakeven.units import short_count, short_rate

_STYLES = {"met": "green", "missed": "red", "unknown": "yellow"}


def limits_line(level: LevelSummary) -> list[Styled] | None:
    """Verdict, goodput and each limit; None where the level was not held against any."""
    told = level.extra
    if told.get("verdict") not in _STYLES:
        return None
    share = told["good_share"]
    good = f"{short_rate(told['goodput_req_per_s'])} req/s, {short_count(told['goodput_tok_per_s'])} tok/s"
    part = "" if share is None else f" ({percent(share, digits=0)} good)"
    why = "; ".join((f", goodput {good}{part}", *told["missed"], *told.get("met", ())))
    return [Styled(told["verdict"], _STYLES[told["verdict"]]), Styled(why)]


def search_lines(summary: RunSummary) -> Iterator[str]:
    """What a search found, then which levels would narrow the capacity most at what the run was measured for."""
    found = summary.run.settings.get("found")
    if found is not None:
        yield str(found["text"])
    unit = f"{names.unit(summary.run)}/s"
    for level in own_levels(summary):
        if following := narrowing(summary, level):
            yield next_levels_text(
                following, {summary.run.id: ONLY}, figure=f"the capacity with {level.text(unit=unit)}"
            )
