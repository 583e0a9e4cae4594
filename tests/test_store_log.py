"""The log of a level survives a kill, a full disk and a flipped bit at any byte."""

import os
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakeven.errors import RunFailedError
from breakeven.record import Record
from breakeven.store.log import LevelLog, read_log, write_atomically
from builders import a_record, some_facts
from stored import FACTS, RECORDS, python

FACTS_NOTED = some_facts(users=3)
PUT = [
    a_record(chunks_at_s=[1.0, 2.0], output_tokens=2),
    a_record(due_s=2.0, end_s=3.0, status="error", error="http_503", error_text="überlastet \x00"),
    a_record(due_s=3.0, chunks_at_s=[3.5], chunk_tokens=[7], status="cut", end_s=4.0, k=2),
]


def written(path: Path, records: list[Record] = PUT) -> bytes:
    log = LevelLog(path)
    log.note(FACTS_NOTED)
    for record in records:
        log.put(record)
    log.close()
    return path.read_bytes()


def test_a_log_gives_back_the_facts_and_the_records_as_they_were_put(tmp_path: Path) -> None:
    written(tmp_path / "a.log")
    assert read_log(tmp_path / "a.log")[:2] == (FACTS_NOTED, PUT)


def test_the_last_facts_noted_count(tmp_path: Path) -> None:
    log = LevelLog(tmp_path / "a.log")
    log.note(some_facts(users=1))
    log.put(PUT[0])
    log.note(some_facts(users=2))
    log.close()
    assert read_log(tmp_path / "a.log")[:2] == (some_facts(users=2), PUT[:1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, records=st.lists(RECORDS, max_size=5))
def test_any_records_come_back_from_a_log_as_they_were(tmp_path: Path, facts: object, records: list[Record]) -> None:
    log = LevelLog(tmp_path / "any.log")
    log.note(facts)  # type: ignore[arg-type]
    for record in records:
        log.put(record)
    log.close()
    assert read_log(tmp_path / "any.log")[:2] == (facts, records)


def test_a_log_cut_off_at_any_byte_gives_what_was_whole_before(tmp_path: Path) -> None:
    data, path = written(tmp_path / "a.log"), tmp_path / "a.log"
    seen = []
    for length in range(len(data), -1, -1):
        os.truncate(path, length)
        facts, records, _ = read_log(path)
        assert records == PUT[: len(records)]
        assert facts in (None, FACTS_NOTED)
        assert facts is not None or not records
        seen.append(len(records))
    assert seen == sorted(seen, reverse=True)
    assert (seen[0], seen[-1]) == (len(PUT), 0)


def test_a_flipped_bit_at_any_byte_is_detected_and_ends_the_reading(tmp_path: Path) -> None:
    data, path = written(tmp_path / "a.log"), tmp_path / "flipped.log"
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        _, records, lost = read_log(path)
        assert records == PUT[: len(records)]
        assert len(records) < len(PUT)
        assert lost > 0


@pytest.mark.parametrize("rest", [b"\x00" * 4096, b"\xff" * 100, b"breakeven level log 1\n"])
def test_what_a_crash_left_behind_the_last_record_is_passed_over(tmp_path: Path, rest: bytes) -> None:
    data, path = written(tmp_path / "a.log"), tmp_path / "b.log"
    path.write_bytes(data + rest)
    assert read_log(path)[:2] == (FACTS_NOTED, PUT)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"\x00" * 100])
def test_a_file_that_is_no_log_holds_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.log").write_bytes(data)
    assert read_log(tmp_path / "a.log")[:2] == (None, [])


def test_a_log_with_fields_that_we_do_not_know_is_one_clear_line(tmp_path: Path) -> None:
    class Later(msgspec.Struct):
        user: int = 0
        colour: str = "red"

    log = LevelLog(tmp_path / "a.log")
    log.put(Later())  # type: ignore[arg-type]
    log.close()
    with pytest.raises(RunFailedError, match="was written by another version of breakeven"):
        read_log(tmp_path / "a.log")


def test_a_record_is_on_disk_within_a_second(tmp_path: Path) -> None:
    log = LevelLog(tmp_path / "a.log")
    for round_number in range(1, 3):
        start_s = time.perf_counter()
        log.put(PUT[0])
        while len(read_log(tmp_path / "a.log")[1]) < round_number:
            assert time.perf_counter() - start_s < 1.0
            time.sleep(0.02)
    log.close()


def test_putting_a_record_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    log = LevelLog(tmp_path / "a.log")
    start_s = time.perf_counter()
    for _ in range(1000):
        log.put(PUT[0])
    assert time.perf_counter() - start_s < 0.2
    log.close()
    assert len(read_log(tmp_path / "a.log")[1]) == 1000


KILLED = """
import os, signal, sys, time
from pathlib import Path
from breakeven.store.log import LevelLog
from builders import a_record, some_facts

log = LevelLog(Path(sys.argv[1]))
log.note(some_facts(users=7))
for number in range(100):
    log.put(a_record(due_s=float(number), end_s=number + 1.0))
time.sleep(1.0)
log.put(a_record(due_s=1000.0, end_s=1001.0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_ended_a_second_before_a_kill_is_readable(tmp_path: Path) -> None:
    process = python(KILLED, tmp_path / "a.log")
    process.communicate(timeout=20)
    assert process.returncode == -9
    facts, records, _ = read_log(tmp_path / "a.log")
    assert facts == some_facts(users=7)
    assert [record.due_s for record in records][:100] == [float(number) for number in range(100)]


FULL = """
import resource, sys
from pathlib import Path
from breakeven.errors import RunFailedError
from breakeven.store.log import LevelLog
from builders import a_record

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # Python ignores SIGXFSZ: the write fails
log = LevelLog(Path(sys.argv[1]))
for number in range(2000):
    log.put(a_record(due_s=float(number), end_s=number + 1.0))
try:
    log.close()
except RunFailedError as error:
    print(error)
"""


def test_a_full_disk_is_one_clear_line_and_what_was_written_is_readable(tmp_path: Path) -> None:
    process = python(FULL, tmp_path / "a.log")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"cannot write {tmp_path / 'a.log'}: File too large; raise the limit on the size of files")
    assert out.count("\n") == 1
    _, records, _ = read_log(tmp_path / "a.log")
    assert 100 < len(records) < 2000
    assert [record.due_s for record in records] == [float(number) for number in range(len(records))]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_takes_nothing_is_noticed_at_once() -> None:
    with pytest.raises(RunFailedError, match="cannot write /dev/full: No space left on device"):
        LevelLog(Path("/dev/full"))


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match=r"cannot write .*: No such file or directory"):
        LevelLog(tmp_path / "missing" / "a.log")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_atomically(path, b"old")
    (tmp_path / "summary.json.tmp").mkdir()
    with pytest.raises(RunFailedError, match="cannot write"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_no_temporary_file_is_left_behind(tmp_path: Path) -> None:
    write_atomically(tmp_path / "summary.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """A folder that somebody gave us must not make us write over what is ours."""
    ours = tmp_path / "ours"
    ours.write_text("dear to us")
    for name in ("a.log", "plan.toml.tmp"):
        (tmp_path / name).symlink_to(ours)
    with pytest.raises(RunFailedError, match="cannot write"):
        LevelLog(tmp_path / "a.log")
    with pytest.raises(RunFailedError, match="cannot write"):
        write_atomically(tmp_path / "plan.toml", b"new")
    assert ours.read_text() == "dear to us"
