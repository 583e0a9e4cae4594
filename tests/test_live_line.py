"""What `breakeven run` shows while it measures: how far the whole is, and a line for each level that is over."""

import re
from pathlib import Path

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.report.ahead import Ahead
from terminal import at_a_terminal, without_styles


def test_the_bar_is_of_the_whole_run_and_says_the_longest_that_is_left() -> None:
    ahead = Ahead()
    ahead.expect([20.0, 40.0, 60.0])
    assert ahead.text(now_s=100.0) == "╌╌╌╌╌╌╌╌╌╌╌╌ 1/3, ≤ 2m00s left"
    assert ahead.text(now_s=110.0) == "━╌╌╌╌╌╌╌╌╌╌╌ 1/3, ≤ 1m50s left"
    assert ahead.text(now_s=130.0) == "━━━╌╌╌╌╌╌╌╌╌ 1/3, ≤ 1m40s left"  # 30 of 130 s, though 20 were the most
    ahead.finished()
    assert ahead.text(now_s=150.0) == "━━━━╌╌╌╌╌╌╌╌ 2/3, ≤ 1m40s left"


def test_where_a_level_has_no_known_end_levels_are_counted() -> None:
    ahead = Ahead()
    ahead.expect([20.0, None])
    assert ahead.text(now_s=0.0) == "╌╌╌╌╌╌╌╌╌╌╌╌ 1/2"
    ahead.finished()
    assert ahead.text(now_s=9.0) == "━━━━━━╌╌╌╌╌╌ 2/2"


def test_levels_that_nobody_announced_are_counted_alone() -> None:
    ahead = Ahead()
    assert ahead.text(now_s=0.0) == "level 1"
    ahead.finished()
    assert ahead.text(now_s=1.0) == "level 2"


def test_a_terminal_sees_one_bar_over_the_run_and_one_line_a_level(tmp_path: Path) -> None:
    with ReferenceServer(Settings(ttft_s=0.01, itl_s=0.005, output_tokens=8)) as server:
        words = ("--url", server.url, "--users", "1,2", "--duration", "1", "--warmup", "0.5", "--ramp", "0.1")
        told = without_styles(at_a_terminal("run", *words, "--out", tmp_path))
    shown = re.split(r"\r\x1b\[K|\r?\n", told)
    assert any(re.search(r"[━╌]{12} 1/2, ≤ \d+\.\d+ s left  1 user measuring", line) for line in shown), told
    assert any(re.search(r"[━╌]{12} 2/2, ≤ \d+\.\d+ s left  2 users measuring", line) for line in shown), told
    over = [line.split()[:2] for line in shown if "answers, stopped by duration" in line]
    assert over == [["1", "user"], ["2", "users"]]
