"""A run's folder: found again after a kill, measured into by one process at a time, safe whatever things are called."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from breakeven.cautions import judged_level
from breakeven.errors import RunFailedError, UsageError
from breakeven.metrics.summary import RunFacts, RunSummary
from breakeven.plan import Plan
from breakeven.record import LevelFacts, Record
from breakeven.store.folder import RunFolder, find_runs, level_name
from breakeven.store.held import slug
from builders import a_record, an_honest_level, some_facts
from stored import python

STARTED = datetime.datetime(2026, 11, 23, 2, 10, tzinfo=datetime.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", started=STARTED, label="llamacpp-SmolLM2", plan=Plan(users=(1, 4)))


def measured(folder: RunFolder, level: tuple[LevelFacts, list[Record]], *, seal: bool = True) -> None:
    """Measure a level into the folder; without `seal` it ends as a kill would end it."""
    facts, records = level
    log = folder.start_level(replace(facts, close_s=None, end_s=None, stopped=None))
    for record in records:
        log.put(record)
    log.close()
    if seal:
        assert folder.seal_level(facts) == (facts, records)


def test_where_all_numbers_of_a_name_are_taken_it_is_said_in_one_line(tmp_path: Path) -> None:
    for end in ("", *(f"-{number}" for number in range(2, 1000))):
        (tmp_path / f"2026-11-23T0210-x{end}").mkdir()
    with pytest.raises(RunFailedError, match="2026-11-23T0210-x and all its numbers are taken"):
        RunFolder.create(tmp_path, started=STARTED, label="x", plan=Plan())


def test_a_run_is_named_by_date_and_label(folder: RunFolder) -> None:
    assert folder.id == "2026-11-23T0210-llamacpp-smollm2"


def test_a_second_run_of_the_same_minute_gets_a_number(folder: RunFolder) -> None:
    second = RunFolder.create(folder.path.parent, started=STARTED, label="llamacpp-SmolLM2", plan=Plan())
    assert second.id == "2026-11-23T0210-llamacpp-smollm2-2"
    assert [found.id for found in find_runs(folder.path.parent)] == [folder.id, second.id]


def test_the_plan_comes_back_as_given(folder: RunFolder) -> None:
    assert RunFolder.open(folder.path).plan() == Plan(users=(1, 4))


def test_a_plan_that_was_spoiled_is_one_clear_line_with_its_path(folder: RunFolder) -> None:
    (folder.path / "plan.toml").write_bytes(b"users = [0]")
    with pytest.raises(UsageError, match=r"plan\.toml: users: 0 is no number of users"):
        folder.plan()


def test_facts_of_the_host_come_back_and_are_empty_where_a_kill_came_first(folder: RunFolder) -> None:
    assert folder.host() == {}
    known = {"run": {"started": "2026-11"}, "host": {"cpu": "x"}}
    folder.write_host(known)
    assert folder.host() == known
    (folder.path / "host.json").write_bytes(b'{"run": ')
    with pytest.raises(RunFailedError, match=r"host\.json: "):
        folder.host()


def test_a_start_that_is_no_time_is_one_clear_line(folder: RunFolder) -> None:
    folder.write_host({"run": {"started": "yesterday"}})
    with pytest.raises(
        RunFailedError, match=r"host\.json: started: 'yesterday' is no date and time, such as 2026-"
    ) as raised:
        folder.host()
    assert "\n" not in str(raised.value)


def test_a_sealed_level_is_one_parquet_file_and_no_log(folder: RunFolder) -> None:
    measured(folder, an_honest_level(users=4))
    assert [path.name for path in (folder.path / "records").iterdir()] == ["u00004-r0.parquet"]


def test_levels_come_in_the_order_measured(folder: RunFolder) -> None:
    late = an_honest_level(users=1, start_s=50.0)
    early = an_honest_level(users=4, start_s=5.0)
    measured(folder, late)
    measured(folder, early)
    assert list(folder.levels()) == [early, late]


def test_resume_sees_only_finished_levels(folder: RunFolder) -> None:
    measured(folder, an_honest_level(users=1))
    measured(folder, an_honest_level(users=2, status="interrupted", stopped="interrupted"))
    measured(folder, an_honest_level(users=3, status="failed", stopped="failed"))
    measured(folder, an_honest_level(users=4), seal=False)
    assert [facts.users for facts in folder.finished()] == [1]


def test_a_level_broken_off_by_a_kill_is_listed_as_interrupted_with_what_was_kept(folder: RunFolder) -> None:
    facts, records = an_honest_level(users=4)
    measured(folder, (facts, records[:40]), seal=False)
    ((found, kept),) = folder.levels()
    assert (found.status, found.stopped, found.users) == ("interrupted", "interrupted", 4)
    assert kept == records[:40]
    assert (found.open_s, found.close_s) == (2.0, max(record.end_s for record in kept))
    assert judged_level(found, kept).status == "interrupted"


def test_a_level_broken_off_in_its_warm_up_has_no_window(folder: RunFolder) -> None:
    facts = replace(some_facts(), open_s=None)
    measured(folder, (facts, [a_record(chunks_at_s=[1.0], k=0)]), seal=False)
    ((found, _),) = folder.levels()
    assert (found.open_s, found.close_s, found.end_s) == (None, None, 1.0)


def test_a_level_broken_off_before_its_first_record_is_listed_too(folder: RunFolder) -> None:
    measured(folder, (some_facts(start_s=3.0, window=(5.0, 9.0)), []), seal=False)
    ((found, kept),) = folder.levels()
    assert (found.status, found.close_s, found.end_s, kept) == ("interrupted", None, 3.0, [])


def test_what_an_earlier_try_left_is_replaced(folder: RunFolder) -> None:
    facts, records = an_honest_level(users=4)
    measured(folder, (facts, records[:9]), seal=False)
    measured(folder, (replace(facts, start_s=1.0), records))
    ((found, kept),) = folder.levels()
    assert (found.start_s, kept) == (1.0, records)


def test_of_an_interrupted_level_and_a_later_try_that_was_killed_the_later_is_listed(folder: RunFolder) -> None:
    facts, records = an_honest_level(users=4, status="interrupted", stopped="interrupted")
    measured(folder, (facts, records[:9]))
    measured(folder, (replace(facts, start_s=1.0), records[:20]), seal=False)
    ((found, kept),) = folder.levels()
    assert (found.start_s, kept) == (1.0, records[:20])


def test_a_finished_level_is_never_hidden_by_a_log(folder: RunFolder) -> None:
    facts, records = an_honest_level(users=4)
    measured(folder, (facts, records))
    measured(folder, (replace(facts, start_s=1.0), records[:20]), seal=False)
    assert list(folder.levels()) == [(facts, records)]


def test_a_kill_between_sealing_and_removing_the_log_loses_and_doubles_nothing(folder: RunFolder) -> None:
    level = an_honest_level(users=4)
    measured(folder, level, seal=False)
    (log,) = (folder.path / "records").glob("*.log")
    data = log.read_bytes()
    folder.seal_level(level[0])
    log.write_bytes(data)
    assert list(folder.levels()) == [level]
    assert folder.finished() == [level[0]]


def test_logs_of_several_clients_make_one_level_and_those_of_an_earlier_try_are_not_mixed_in(folder: RunFolder) -> None:
    earlier, facts = some_facts(users=2, start_s=0.0), some_facts(users=2, start_s=10.0)
    records = [a_record(chunks_at_s=[20.0 + client], due_s=20.0, client=client) for client in range(3)]
    for client, known in ((0, facts), (1, facts), (2, earlier)):
        log = folder.start_level(known, client=client)
        log.put(records[client])
        log.close()
    ((found, kept),) = folder.levels()
    assert (found.start_s, kept) == (10.0, records[:2])
    assert folder.seal_level(facts) == (facts, records[:2])
    assert list((folder.path / "records").glob("*.log")) == []


LOCKED = """
import sys
from pathlib import Path
from breakeven.errors import RunFailedError
from breakeven.store.folder import RunFolder

try:
    RunFolder.open(Path(sys.argv[1])).lock()
    print("locked")
except RunFailedError as error:
    print(error)
"""


def test_two_processes_cannot_measure_into_the_same_folder(folder: RunFolder) -> None:
    folder.lock()
    out, err = python(LOCKED, folder.path).communicate(timeout=20)
    assert (out, err) == (f"{folder.path} is being measured by another process; wait for it or end it\n", "")


def test_a_lock_ends_with_the_process_that_held_it(folder: RunFolder) -> None:
    assert python(LOCKED, folder.path).communicate(timeout=20) == ("locked\n", "")
    folder.lock()


def test_a_summary_may_be_deleted_and_made_again(folder: RunFolder) -> None:
    measured(folder, an_honest_level(users=4))
    summary = RunSummary(run=RunFacts(id=folder.id), levels=tuple(judged_level(*level) for level in folder.levels()))
    folder.write_summary(summary)
    first = (folder.path / "summary.json").read_bytes()
    (folder.path / "summary.json").unlink()
    again = RunSummary(run=RunFacts(id=folder.id), levels=tuple(judged_level(*level) for level in folder.levels()))
    folder.write_summary(again)
    assert (folder.path / "summary.json").read_bytes() == first


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist; `breakeven runs` lists the runs"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is no run folder"):
        RunFolder.open(tmp_path)
    with pytest.raises(UsageError, match="is no folder; runs are kept in runs/"):
        find_runs(tmp_path / "nowhere")


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunFailedError, match=r"cannot write .*runs"):
        RunFolder.create(tmp_path / "runs", started=STARTED, label="x", plan=Plan())


def test_names_of_levels_sort_by_load() -> None:
    names = [level_name(users=users, req_per_s=None, repeat=0) for users in (1, 5, 10, 100, 10_000)]
    assert names == sorted(names)
    rates = [level_name(users=None, req_per_s=rate, repeat=0) for rate in (0.5, 2.5, 10.0, 1000.0)]
    assert rates == sorted(rates)
    assert level_name(users=7, req_per_s=None, repeat=2) == "u00007-r2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SmolLM2 135M", "smollm2-135m"),
        ("../../etc/passwd", "etc-passwd"),
        ("meta-llama/Llama-3.1-8B", "meta-llama-llama-3.1-8b"),
        ("\x00\n\x1b[31m", "31m"),
        ("...", "run"),
        ("", "run"),
        ("模型", "run"),
        ("-rf", "rf"),
    ],
)
def test_a_name_that_a_server_gave_becomes_part_of_a_file_name(text: str, expected: str) -> None:
    assert slug(text) == expected


@settings(deadline=None)
@given(st.text())
def test_no_name_leads_out_of_the_folder(text: str) -> None:
    found = slug(text)
    assert 1 <= len(found) <= 60
    assert Path(found).name == found
    assert found.isascii()
    assert found.isprintable()
    assert not found.startswith((".", "-"))
