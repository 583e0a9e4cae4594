"""The commands fleet inspect and fleet market: what a set of results says of nodes and of markets."""

from collections.abc import Sequence
from pathlib import Path

from breakeven.app.printed import put_out
from breakeven.app.runs import read_text, write_json
from breakeven.fleet.feedback import reports
from breakeven.fleet.inspect import inspect as find_weak
from breakeven.fleet.inspect_text import render as inspect_text
from breakeven.fleet.inspect_text import to_json as inspect_json
from breakeven.fleet.market import Wanted
from breakeven.fleet.market import market as of_market
from breakeven.fleet.market_text import render as market_text
from breakeven.fleet.rules import read_rules
from breakeven.fleet.store import read_set


def inspect(address: str, *, node: str | None, json_to: str | None) -> int:
    """Find weak nodes, and tell them with cause and evidence."""
    found = find_weak(read_set(address), node=node)
    put_out(inspect_text(found), told=inspect_json(found), json_to=json_to)
    return 0


def market(address: str, *, wanted: Wanted, rules: Sequence[Path], feedback: Path | None, json_to: str | None) -> int:
    """Tell markets, try rules on them, and judge their nodes by rule files."""
    files = [read_rules(read_text(path), where=str(path)) for path in rules]
    report = of_market(read_set(address), wanted=wanted, files=files)
    put_out(market_text(report), told=report, json_to=json_to)
    if feedback is not None:
        write_json(reports(report.verdicts), str(feedback))
    return 0
