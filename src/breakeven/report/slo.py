"""What a run says of its service level: goodput and verdict of every level, and what a search found."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from breakeven.compare.words import ONLY, next_levels_text
from breakeven.findings import names
from breakeven.findings.level import narrowing, own_levels
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.say import percent
from breakeven.units import load_text, short_count, short_rate

_STYLES = {"met": "green", "missed": "red", "unknown": "yellow"}


def slo_lines(summary: RunSummary) -> RenderableType | None:
    """A line for each level that was held against limits, and one for what a search found; None without limits."""
    judged = [level for level in summary.levels if level.extra.get("verdict") in _STYLES]
    if not judged:
        return None
    lines: list[RenderableType] = [Text(f"limits: {judged[0].extra['slo']}", style="bold")]
    lines += [Padding(_line(level, repeats=_repeated(judged)), (0, 0, 0, 1)) for level in judged]
    found = summary.run.settings.get("found")
    if found is not None:
        lines.append(Text(str(found["text"]), style="bold"))
    return Group(*lines, Text(""))


def _repeated(levels: Sequence[LevelSummary]) -> bool:
    return any(level.repeat for level in levels)


def _line(level: LevelSummary, *, repeats: bool) -> Text:
    told = level.extra
    verdict, share = told["verdict"], told["good_share"]
    load = load_text(level.users, level.req_per_s_offered, repeat=level.repeat if repeats else None)
    good = f"{short_rate(told['goodput_req_per_s'])} req/s, {short_count(told['goodput_tok_per_s'])} tok/s"
    part = "" if share is None else f" ({percent(share, digits=0)} good)"
    why = "; ".join((*told["missed"], *told.get("met", ())))
    return Text.assemble(
        (f"{load}: ", "bold"), (verdict, _STYLES[verdict]), f", goodput {good}{part}", f"; {why}" if why else ""
    )


def narrowing_lines(summary: RunSummary) -> RenderableType | None:
    """Which levels would narrow the capacity most at what the run was measured for; None where none would."""
    unit = f"{names.unit(summary.run)}/s"
    lines = [
        next_levels_text(following, {summary.run.id: ONLY}, figure=f"the capacity with {level.text(unit=unit)}")
        for level in own_levels(summary)
        if (following := narrowing(summary, level))
    ]
    return Text("\n".join(lines) + "\n") if lines else None
