"""Nodes among their like: ranked, priced through the one door, filtered; the terminal, the CSV, hostile names."""

import csv
import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.findings.nodes import node_money
from breakeven.fleet.board_table import COLUMNS, board_csv
from breakeven.fleet.board_text import board_text
from breakeven.fleet.intake import take_in
from breakeven.fleet.leaderboard import Asked, leaderboard, marks_of
from breakeven.fleet.rows import Rows, make_rows
from breakeven.fleet.store import add, read_set

RAW = Path(os.environ.get("BREAKEVEN_RAW_DATA", Path(__file__).parents[2] / "shared" / "data"))


def fleet(nodes: int = 8, *, name: str = "n", market: str = "m", **more: Any) -> Rows:
    """Nodes over 4 %, four jobs each 0.2 % apart; the last node is 0.7 times as fast as it should be."""
    rng = np.random.default_rng(7)
    of_all = {"gpu": "rtx4090", "model": "llama", "template": "t", "counted": "tokens", "usd_per_h": 0.36}
    told = []
    for node in range(nodes):
        for job in range(4):
            speed = (1 - 0.04 * node / nodes) * (0.7 if node == nodes - 1 else 1) * math.exp(rng.normal(0, 0.002))
            rates = {1: 50.0 * speed, 8: 400.0 * speed}
            levels = {n: {"output_tok_per_s": rate, "power_mean_w": 200.0} for n, rate in rates.items()}
            one = {"id": f"{market}-{node}-{job}", "digest": node * 100 + job, "levels": levels, "market": market}
            told.append(of_all | one | {"node": f"{name}{node}"} | more)
    return make_rows(told, users=[1, 8])


def test_the_slow_node_is_last_and_its_interval_is_below_the_others() -> None:
    board = leaderboard(fleet())
    assert board.node[-1] == "n7"
    assert board.node[0] == "n0"
    assert board.rank.tolist() == list(range(1, 9))
    gaps, highs = COLUMNS["gap"].of(board), COLUMNS["gap_high"].of(board)
    assert gaps[-1] == pytest.approx(0.7 * 0.965 / 0.9825 - 1, abs=0.02)
    assert highs[-1] < -0.25
    assert not board.is_tie[-1]


def test_cost_and_energy_come_through_the_one_door() -> None:
    money = node_money(
        usd_per_h=np.array([0.36, np.nan]), tok_per_s=np.array([100.0, 100.0]), power_w=np.array([50.0, np.nan])
    )
    assert money.usd_per_mtok_output.tolist()[0] == pytest.approx(1.0)
    assert money.tok_per_j.tolist()[0] == pytest.approx(2.0)
    assert np.isnan([money.usd_per_mtok_output[1], money.tok_per_j[1]]).all()
    board = leaderboard(fleet())
    assert board.users == 8
    assert board.usd_per_mtok[0] == pytest.approx(0.36 / (board.tok_per_s[0] * 3600) * 1e6)
    assert board.tok_per_j[0] == pytest.approx(board.tok_per_s[0] / 200)


def test_what_is_not_known_has_no_figure() -> None:
    board = leaderboard(fleet(usd_per_h=None))
    assert np.isnan(board.usd_per_mtok).all()
    assert "USD" not in board_text(board).replace("USD/h", "")


def test_nodes_of_unlike_strata_are_not_ranked_together(tmp_path: Path) -> None:
    add(str(tmp_path), fleet())
    add(str(tmp_path), fleet(4, market="other", name="x"))
    board = leaderboard(read_set(str(tmp_path)))
    assert [board.stratum(line).market for line in range(len(board))] == ["m"] * 8 + ["other"] * 4
    assert board.rank.tolist() == [*range(1, 9), *range(1, 5)]
    text = board_text(board)
    assert "Fewer than 5 nodes:" in text
    assert "x0" not in text
    assert leaderboard(read_set(str(tmp_path)), Asked(market="other")).node[0] == "x0"


def test_a_filter_that_fits_nothing_is_told() -> None:
    rows = fleet()
    assert len(leaderboard(rows, Asked(gpu="RTX 4090", model="llama", template="t"))) == 8
    with pytest.raises(UsageError, match="no model is called 'lama'; did you mean 'llama'"):
        leaderboard(rows, Asked(model="lama"))
    with pytest.raises(UsageError, match="no job has a level of 3 users; there are 1, 8"):
        leaderboard(rows, Asked(users=3))
    with pytest.raises(UsageError, match="no job of this set"):
        leaderboard(fleet(levels={1: {"output_tok_per_s": None}}))


def test_one_number_of_users_alone() -> None:
    board = leaderboard(fleet(), Asked(users=1))
    assert board.users == 1
    assert board.tok_per_s[0] == pytest.approx(50, rel=0.01)


def test_failures_and_marks_stay_beside_the_node() -> None:
    failing: dict[int, dict[str, float | None]] = {1: {"output_tok_per_s": 50.0}, 8: {"output_tok_per_s": None}}
    jobs = [{"id": f"a{i}", "digest": i, "node": "n", "gpu": "rtx4090", "levels": failing} for i in range(2)]
    jobs.append({"id": "lost", "digest": 9, "node": "n", "levels": {}, "outcome": "lost"})
    jobs[0]["marks"] = "no_price card_twice"
    board = leaderboard(make_rows(jobs, users=[1, 8]))
    assert board.failures.tolist() == [3]
    assert marks_of(int(board.marks[0])) == ("card_twice", "no_price")


def test_the_csv_has_every_column_and_no_formula_of_a_spreadsheet() -> None:
    rows = fleet(name="=cmd|' /C calc'!A")
    told = list(csv.DictReader(io.StringIO(board_csv(leaderboard(rows)))))
    assert list(told[0]) == list(COLUMNS)
    assert len(told) == 8
    assert told[0]["node"].startswith("'=cmd")
    assert float(told[-1]["gap"]) == pytest.approx(-0.31, abs=0.03)
    assert told[0]["last_s"] == ""


def test_a_node_named_like_an_escape_moves_no_cursor() -> None:
    text = board_text(leaderboard(fleet(name="\x1b[2J\n")))
    assert "\x1b" not in text


def test_the_command_ranks_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(tmp_path / "set")
    add(where, fleet(20))
    assert main(["fleet", "leaderboard", where, "--top", "3", "--csv", str(tmp_path / "board.csv")]) == 0
    said = capsys.readouterr().out
    assert "20 nodes, 80 jobs" in said
    assert "… 14 more" in said
    assert len((tmp_path / "board.csv").read_text().splitlines()) == 21
    assert main(["fleet", "leaderboard", where, "--csv", "-"]) == 0
    assert capsys.readouterr().out.startswith("market,gpu")
    assert main(["fleet", "leaderboard", str(tmp_path)]) == 2
    assert "no set of results is here" in capsys.readouterr().err


@pytest.mark.skipif(not RAW.joinpath("nosana_2024_fleet.csv").exists(), reason="the raw data of 2024 is not here")
def test_the_fleet_of_2024_counts_words_and_ranks_within_its_markets(tmp_path: Path) -> None:
    take_in(RAW / "nosana_2024_fleet.csv", into=str(tmp_path), now_s=1.8e9)
    board = leaderboard(read_set(str(tmp_path)), Asked(market="4090", gpu="RTX 4090", model="llama3.1_8B_4x"))
    [stratum] = [board.scores.strata[place] for place in board.strata]
    assert (stratum.nodes, stratum.counted, board.users) == (45, "words", 100)
    assert "words/s" in board_text(board)
    assert "USD/Mword" in board_text(board)
