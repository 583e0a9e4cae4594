"""The commands fleet inspect and fleet market: what a set of results says of nodes and of markets."""

from breakeven.app.printed import put_out
from breakeven.fleet.inspect import inspect as find_weak
from breakeven.fleet.inspect_text import render as inspect_text
from breakeven.fleet.inspect_text import to_json as inspect_json
from breakeven.fleet.store import read_set


def inspect(address: str, *, node: str | None, json_to: str | None) -> int:
    """Find weak nodes, and tell them with cause and evidence."""
    found = find_weak(read_set(address), node=node)
    put_out(inspect_text(found), as_json=inspect_json(found), json_to=json_to)
    return 0
