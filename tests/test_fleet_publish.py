"""What is published names no node: small groups are left out, names are keyed hashes, machines' own words are gone."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from breakeven.cli import main
from breakeven.fleet.publish import AGGREGATES, CARD, COLUMNS, KEY_VARIABLE, RECORDS
from breakeven.fleet.rows import Rows, joined, make_rows
from breakeven.fleet.store import add, read_set


def fleet(nodes: int, *, market: str) -> Rows:
    """Nodes with rates 10, 20, 30 … and two jobs each."""
    told = [
        {
            "id": f"{market}-{node}-{job}",
            "digest": node * 10 + job + 1,
            "node": f"secret-host-{market}-{node}",
            "market": market,
            "gpu": "rtx4090",
            "model": "llama",
            "template": "t",
            "counted": "tokens",
            "driver": "secret-driver",
            "cpu": "secret-cpu",
            "card": "abcdef123456",
            "reason": "secret-reason",
            "started_s": 1_700_000_000.0 + 1234,
            "usd_per_h": 0.8774259104,
            "levels": {5: {"output_tok_per_s": 10.0 * (node + 1), "power_mean_w": 300.0}},
        }
        for node in range(nodes)
        for job in range(2)
    ]
    return make_rows(told, users=[5])


@pytest.fixture
def results(tmp_path: Path) -> str:
    address = str(tmp_path / "set")
    add(address, joined([fleet(5, market="large"), fleet(4, market="small")]))
    return address


def publish(address: str, out: Path, *more: str) -> int:
    return main(["fleet", "publish", address, "--out", str(out), "--licence", "CC-BY-4.0", *more])


def test_groups_of_five_nodes_are_told_by_their_quartiles_and_smaller_ones_by_number(
    results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(results, tmp_path / "out") == 0
    assert "left out: 1 groups of fewer than 5 nodes (4 nodes), 8 jobs" in capsys.readouterr().out
    (line,) = csv.DictReader(io.StringIO((tmp_path / "out" / AGGREGATES).read_text()))
    assert list(line) == list(COLUMNS)
    assert (line["market"], line["nodes"], line["jobs"], line["failed_jobs"]) == ("large", "5", "10", "0")
    rates = [float(line[f"output_per_s_p{which}"]) for which in (25, 50, 75)]
    assert rates == [20.0, 30.0, 40.0]
    assert float(line["power_w_p50"]) == 300.0
    assert line["ttft_s_p50"] == ""
    card = (tmp_path / "out" / CARD).read_text()
    assert "Licence: CC-BY-4.0" in card
    assert all(f"| `{name}` |" in card for name in COLUMNS)


def test_records_hold_no_word_of_a_node_and_are_a_set_again(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k")
    for name in ("one", "two"):
        assert publish(results, tmp_path / name, "--records") == 0
    monkeypatch.delenv(KEY_VARIABLE)
    assert publish(results, tmp_path / "other", "--records") == 0
    data = (tmp_path / "one" / RECORDS).read_bytes()
    assert b"secret" not in data
    assert b"abcdef123456" not in data
    rows = read_set(str(tmp_path / "one"))
    assert len(rows) == 10
    assert np.all(rows.started_s % 86_400 == 0)
    assert np.all(rows.digest == 0)
    assert np.all(rows.usd_per_h == 0.88)
    nodes = {rows.node.at(job) for job in range(10)}
    assert len(nodes) == 5
    again = read_set(str(tmp_path / "two"))
    assert nodes == {again.node.at(job) for job in range(10)}
    other = read_set(str(tmp_path / "other"))
    assert not nodes & {other.node.at(job) for job in range(10)}
    assert main(["fleet", "leaderboard", str(tmp_path / "one")]) == 0
    assert "5 nodes, 10 jobs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--licence", " ", "--out", "new"], 2, "say under which licence"),
        (["--licence", "x", "--out", "."], 2, "is there already"),
        (["--out", "new"], 2, "--licence"),
    ],
)
def test_what_cannot_be_published_is_said_in_one_line(
    results: str, words: list[str], code: int, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path) if word == "." else str(tmp_path / "new") if word == "new" else word for word in words]
    assert main(["fleet", "publish", results, *words]) == code
    assert why in capsys.readouterr().err


def test_a_set_of_small_groups_alone_gives_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = str(tmp_path / "set")
    add(address, fleet(4, market="small"))
    assert publish(address, tmp_path / "out") == 1
    assert "no group has 5 nodes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
