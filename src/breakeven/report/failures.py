"""What a run says of levels that mostly failed: how many, the commonest error, and an example of the server's words."""

from rich.text import Text

from breakeven.errors import one_line
from breakeven.metrics.failures import has_mostly_failed
from breakeven.metrics.summary import RunSummary
from breakeven.say import percent
from breakeven.units import load_text


def failure_lines(summary: RunSummary) -> Text | None:
    """A line for each such level, its example only where it is another one; None where there is none."""
    lines, told = [], set()
    repeats = any(level.repeat for level in summary.levels)
    for level in summary.levels:
        if not has_mostly_failed(level) or not level.errors:
            continue
        load = load_text(level.users, level.req_per_s_offered, repeat=level.repeat if repeats else None)
        share, kind, says = (
            level.extra.get(name) for name in ("failed_share", "commonest_error", "commonest_error_says")
        )
        example = f": {one_line(str(says), limit=200)}" if says and (kind, says) not in told else ""
        told.add((kind, says))
        part = percent(float(share or 1.0), digits=0)
        often = f"{level.extra.get('commonest_errors')} x {kind}"
        lines.append(f"! {load}: {part} of the requests failed, most often {often}{example}")
    return Text("\n".join(lines) + "\n", "red") if lines else None
