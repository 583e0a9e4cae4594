"""`--users auto` measures the levels that narrow the capacity at a floor most."""

import math
from pathlib import Path
from typing import Any

import msgspec

from breakeven.compare.capacity import operating_point
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary
from commands import breakeven, run_folder
from fault_answers import answer
from fault_server import FaultServer
from test_search import places

FLOOR = ServiceLevel(floor_tok_per_s_per_user=10.0)


def half_width(summary: dict[str, Any]) -> float:
    """root(high / low) - 1 of the capacity at the floor."""
    low, high = operating_point(msgspec.convert(summary, RunSummary), FLOOR).output_tok_per_s.ci95
    assert low is not None
    assert high is not None
    return math.sqrt(high / low) - 1


def test_a_run_is_resumed_with_the_levels_that_narrow_its_capacity_at_a_floor(tmp_path: Path) -> None:
    # eight places give 20 tok/s each; shared by 16 users that is 10 tok/s a user
    flags = ("--users", "1,4,40", "--duration", "1.5", "--warmup", "0.5", "--output-tokens", 2)
    with FaultServer({"*": places(8, answer(ttft_s=0.1, itl_s=0.0))}) as server:
        first = breakeven("run", "--url", server.url, *flags, "--out", tmp_path, "--json", "-")
        resumed = ("--resume", run_folder(tmp_path), "--users", "auto", "--floor", "10")
        done = breakeven("run", *resumed, "--json", "-")
    assert first.code == done.code == 0, done.err
    added = {level["users"] for level in done.json["levels"]} - {1, 4, 40}
    assert added
    assert all(4 < users < 40 for users in added)
    assert "next: " in done.err
    assert half_width(done.json) < 0.5 * half_width(first.json)


def test_a_floor_goes_with_auto_alone(tmp_path: Path) -> None:
    done = breakeven("run", "--url", "http://h", "--floor", "10", "--out", tmp_path)
    assert done.code == 2
    assert "--floor: it says at which speed auto looks for levels; give --users auto too" in done.err
