"""A level's Parquet file: nothing is lost in it, others can read it, and a broken one is one clear line."""

import random
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from breakeven.errors import RunFailedError
from breakeven.metrics.definitions import ttft_s
from breakeven.record import LevelFacts, Record
from breakeven.store.log import LevelLog
from breakeven.store.table import read_facts, read_level, write_level
from builders import a_record, an_honest_level, packed, some_facts
from stored import FACTS, RECORDS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, records=st.lists(RECORDS, max_size=6))
def test_any_level_comes_back_from_parquet_as_it_was(tmp_path: Path, facts: LevelFacts, records: list[Record]) -> None:
    path = tmp_path / "level.parquet"
    write_level(path, facts=facts, records=records)
    assert read_level(path) == (facts, records)
    assert read_facts(path) == facts


def test_a_level_of_many_row_groups_comes_back_as_it_was(tmp_path: Path) -> None:
    records = [a_record(chunks_at_s=[0.5] * (number % 4), user=number, end_s=1.0) for number in range(20_000)]
    write_level(tmp_path / "many.parquet", facts=some_facts(), records=records)
    assert read_level(tmp_path / "many.parquet") == (some_facts(), records)


def test_duckdb_counts_the_records_of_every_level_by_users(tmp_path: Path) -> None:
    expected = []
    for users in (1, 5):
        facts, records = an_honest_level(users=users)
        write_level(tmp_path / f"u{users}.parquet", facts=facts, records=records)
        expected.append((users, len(records)))
    with duckdb.connect() as db:
        found = db.sql(f"select users, count(*) from '{tmp_path}/*.parquet' group by users order by users").fetchall()
    assert found == expected


def test_ttft_in_sql_is_ours(tmp_path: Path) -> None:
    records = [
        a_record(due_s=1.5, sent_s=1.75, chunks_at_s=[3.0, 4.0]),
        a_record(due_s=2.25, chunks_at_s=[2.250001, 9.0]),
        a_record(due_s=3.0, end_s=4.0, status="cut"),
    ]
    write_level(tmp_path / "level.parquet", facts=some_facts(), records=records)
    query = f"select sent_s + chunk_us[1] / 1e6 - due_s from '{tmp_path}/level.parquet' order by due_s"
    with duckdb.connect() as db:
        found = [row[0] for row in db.sql(query).fetchall()]
    assert found[:2] == pytest.approx([1.5, 0.000001])
    assert found == [ttft_s(record) for record in records]


def test_a_null_stays_a_null_in_sql(tmp_path: Path) -> None:
    write_level(tmp_path / "level.parquet", facts=some_facts(users=None), records=[a_record(sent_s=None)])
    columns = "users, sent_s, error, output_tokens, req_per_s_offered"
    with duckdb.connect() as db:
        assert db.sql(f"select {columns} from '{tmp_path}/level.parquet'").fetchall() == [(None,) * 5]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "level.parquet"
    facts, records = an_honest_level(users=10)
    write_level(path, facts=facts, records=records)
    return path.read_bytes()


def test_a_flipped_bit_anywhere_is_one_clear_line_and_no_backtrace(
    tmp_path: Path, whole: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    chance, path = random.Random(1), tmp_path / "level.parquet"
    for _ in range(400):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(RunFailedError) as caught:
            read_level(path)
        assert str(caught.value).startswith(f"{path}: is ")
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_off_anywhere_is_one_clear_line_and_no_backtrace(
    tmp_path: Path, whole: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "level.parquet"
    for length in [*range(40), *range(40, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(RunFailedError, match=r"is no whole Parquet file|is broken"):
            read_facts(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data", [b"PAR1", b"PAR1PAR1", b"PAR1" + b"\x00" * 8 + b"PAR1", b"PAR1" + b"\xff" * 90 + b"PAR1"]
)
def test_a_shell_of_a_parquet_file_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "level.parquet").write_bytes(data)
    with pytest.raises(
        RunFailedError, match=r"level\.parquet: is broken, or was not written by breakeven; move it away"
    ):
        read_level(tmp_path / "level.parquet")


def test_a_parquet_file_of_someone_else_is_one_clear_line(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        db.sql(f"copy (select 1 as users) to '{tmp_path}/level.parquet' (format parquet)")
    with pytest.raises(RunFailedError, match="is broken, or was not written by breakeven"):
        read_level(tmp_path / "level.parquet")


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="cannot be read \\(No such file or directory\\)"):
        read_level(tmp_path / "level.parquet")


def test_only_the_whole_file_ever_stands_under_its_name(tmp_path: Path) -> None:
    write_level(tmp_path / "level.parquet", facts=some_facts(), records=[])
    assert [path.name for path in tmp_path.iterdir()] == ["level.parquet"]


def test_five_minutes_of_100_users_at_3000_tokens_a_second_stay_under_20_mb(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records = [
        a_record(
            due_s=number * 0.085, end_s=number * 0.085 + 8.5, output_tokens=256, input_tokens=512, user=number % 100
        )
        for number in range(900_000 // 256)
    ]
    steps = rng.gamma(4.0, 33_000 / 4.0, (len(records), 256)).astype(int)
    log = LevelLog(tmp_path / "level.log")
    full = [replace(record, chunk_us=packed(row)) for record, row in zip(records, steps, strict=True)]
    for record in full:
        log.put(record)
    log.close()
    write_level(tmp_path / "level.parquet", facts=some_facts(), records=full)
    assert sum(len(record.chunk_us) for record in full) == pytest.approx(4 * 900_000, rel=0.001)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20e6
