"""What an import did, in words: every job of the source stands in one of its lines."""

from collections.abc import Iterator

from breakeven.fleet.checked import MARKS, REFUSALS
from breakeven.fleet.intake import Intake
from breakeven.say import number, wrapped


def intake_text(found: Intake, *, into: str) -> str:
    """A line of what was taken in, and lines for what was refused, marked, failed or not read."""
    return "\n".join(line for text in _lines(found, into) for line in wrapped(text, rest="    "))


def _lines(found: Intake, into: str) -> Iterator[str]:
    by = f" by the map {found.map}" if found.map else ""
    yield f"{found.source}: {_jobs(found.read)} read{by}, into {into}"
    added = found.added
    took = (
        (added.new, "new"),
        (added.superseded, "in the stead of older results"),
        (added.same, "the same as before"),
        (added.older, "older than what is there"),
        (found.twice, "told again later in the same source"),
        (sum(found.refused_counts.values()), "refused"),
    )
    yield "  " + " · ".join(f"{number(count)} {words}" for count, words in took if count or words == "new")
    for why, count in found.refused_counts.items():
        examples = ", ".join(f"{one.job}{f' ({one.detail})' if one.detail else ''}" for one in found.refused[why])
        more = " and others" if count > len(found.refused[why]) else ""
        yield f"  refused, {number(count)}: {REFUSALS[why]}: {examples}{more}"
    for mark, count in found.marked.items():
        yield f"  kept and marked, {number(count)}: {MARKS[mark]}"
    if found.failed_levels:
        yield f"  {_jobs(found.failed_levels)} of which some level failed or is missing: it has no figure, not 0"
    if found.failed:
        yield f"  {_jobs(found.failed)} without any measured level: they count as failures alone"
    if found.unread:
        yield f"  columns not read: {', '.join(found.unread)}"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{number(count)} jobs"
