"""A set of results on disk: each job once, later results in the stead of older ones, whole after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pytest

from breakeven.arrow import from_codes, from_floats, to_numpy
from breakeven.errors import RunFailedError, UsageError
from breakeven.fleet import store
from breakeven.fleet.rows import Rows, make_rows, pick
from breakeven.fleet.store import UNFINISHED, Added, add, read_set


def job(name: str, rate: float = 50.0, **more: object) -> dict[str, object]:
    levels = {1: {"output_tok_per_s": rate, "power_mean_w": None}, 5: {"output_tok_per_s": None}}
    return {"id": name, "digest": int(rate * 1000), "node": f"n-{name}", "outcome": "partial", "levels": levels} | more


def table(*jobs: dict[str, object]) -> Rows:
    return make_rows(jobs, users=sorted({n for one in jobs for n in one["levels"]}))  # type: ignore[attr-defined]


def rates(rows: Rows) -> dict[str, float]:
    return {name.decode(): float(rate) for name, rate in zip(rows.id, rows.output_tok_per_s[:, 0], strict=True)}


def test_undefined_is_null_on_disk_and_nan_in_memory() -> None:
    floats = from_floats(np.array([1.0, np.nan, 3.0, np.nan]))
    assert floats.to_pylist() == [1.0, None, 3.0, None]
    assert to_numpy(floats.slice(1, 2)).tolist()[1] == 3.0
    assert np.isnan(to_numpy(floats)).tolist() == [False, True, False, True]
    assert from_codes(np.array([1, -1, 0], dtype=np.int32), ("a", "b")).to_pylist() == ["b", None, "a"]


def test_a_set_gives_back_what_was_put_in(tmp_path: Path) -> None:
    assert add(str(tmp_path / "set"), table(job("a", usd_per_h=0.5, market="m"), job("b"))) == Added(new=2)
    rows = read_set(str(tmp_path / "set"))
    assert rates(rows) == {"a": 50, "b": 50}
    assert rows.users == (1, 5)
    assert rows.tried.all()
    assert rows.market.at(0) == "m"
    assert rows.market.at(1) is None
    assert rows.usd_per_h[0] == 0.5
    assert np.isnan(rows.usd_per_h[1])
    assert np.isnan(rows.power_mean_w).all()


def test_duckdb_reads_the_files(tmp_path: Path) -> None:
    add(str(tmp_path), table(job("a", usd_per_h=0.5), job("b", 70)))
    found = duckdb.execute(
        f"select id, node, usd_per_h, users, output_tok_per_s from '{tmp_path}/jobs-*.parquet' order by id"
    ).fetchall()
    assert found == [("a", "n-a", 0.5, [1, 5], [50.0, None]), ("b", "n-b", None, [1, 5], [70.0, None])]


def test_the_same_results_once_and_the_later_of_a_job_wins(tmp_path: Path) -> None:
    where = str(tmp_path)
    add(where, table(job("a", ended_s=100.0), job("b")))
    assert add(where, table(job("a", ended_s=100.0), job("b"))) == Added(same=2)
    assert add(where, table(job("a", 60, ended_s=200.0), job("c"))) == Added(new=1, superseded=1)
    assert add(where, table(job("a", 40, ended_s=150.0))) == Added(older=1)
    assert rates(read_set(where)) == {"a": 60, "b": 50, "c": 50}


def test_of_two_results_of_a_job_in_one_import_the_last_counts(tmp_path: Path) -> None:
    add(str(tmp_path), table(job("a", 50), job("a", 70)))
    assert rates(read_set(str(tmp_path))) == {"a": 70}


def test_files_have_so_many_jobs_and_no_job_is_in_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PART", 3)
    where = str(tmp_path)
    add(where, table(*(job(f"j{i}") for i in range(8))))
    add(where, table(job("j0", 60), job("j7", 60), job("new")))
    assert sorted(one.name for one in tmp_path.glob("*.parquet")) == [f"jobs-0000{i}.parquet" for i in (1, 2, 3, 4)]
    count = duckdb.execute(f"select count(*), count(distinct id) from '{where}/jobs-*.parquet'").fetchall()
    assert count == [(9, 9)]
    assert rates(read_set(where)) == {f"j{i}": 60 if i in (0, 7) else 50 for i in range(8)} | {"new": 50}
    assert not (tmp_path / UNFINISHED).exists()


def test_a_killed_import_is_read_right_and_mended_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PART", 2)
    where = str(tmp_path)
    add(where, table(job("a"), job("b")))
    old = (tmp_path / "jobs-00001.parquet").read_bytes()
    add(where, table(job("a", 60)))
    (tmp_path / "jobs-00001.parquet").write_bytes(old)  # as if it had been killed before this file was written again
    (tmp_path / UNFINISHED).touch()
    assert rates(read_set(where)) == {"a": 60, "b": 50}
    assert add(where, table(job("b"))) == Added(same=1)
    assert not (tmp_path / UNFINISHED).exists()
    assert duckdb.execute(f"select count(*) from '{where}/jobs-*.parquet'").fetchall() == [(2,)]
    assert rates(read_set(where)) == {"a": 60, "b": 50}


_IMPORT = """
import sys
from breakeven.fleet import store
from breakeven.fleet.rows import make_rows
store.PART = 50
for turn in range(1000):
    jobs = [{"id": f"j{i}", "digest": turn, "levels": {1: {"output_tok_per_s": turn + 1.0}}} for i in range(200)]
    store.add(sys.argv[1], make_rows(jobs, users=[1]))
    print(turn, flush=True)
"""


def test_a_set_is_whole_whenever_its_import_is_killed(tmp_path: Path) -> None:
    for turn in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _IMPORT, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05 * (turn + 1))
            os.kill(process.pid, signal.SIGKILL)
        rows = read_set(str(tmp_path))
        assert sorted(rows.id.tolist()) == sorted(f"j{i}".encode() for i in range(200))


def test_a_broken_file_is_told_and_nothing_is_guessed(tmp_path: Path) -> None:
    add(str(tmp_path), table(job("a")))
    path = tmp_path / "jobs-00001.parquet"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunFailedError, match=r"jobs-00001.parquet: is broken"):
        read_set(str(tmp_path))
    path.write_bytes(b"PAR1")
    with pytest.raises(RunFailedError, match="is broken"):
        read_set(str(tmp_path))


def test_no_set_is_told_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fleet import"):
        read_set(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no address of a set"):
        read_set("gopher://x/y")


def test_more_numbers_of_users_than_a_set_may_have_are_refused(tmp_path: Path) -> None:
    many = {n: {"output_tok_per_s": 1.0} for n in range(1, 66)}
    with pytest.raises(UsageError, match="65 numbers of users"):
        add(str(tmp_path), table(job("a", levels=many)))


def test_an_empty_pick_is_no_trouble(tmp_path: Path) -> None:
    rows = table(job("a"))
    assert add(str(tmp_path), pick(rows, np.zeros(1, dtype=np.bool_))) == Added()
