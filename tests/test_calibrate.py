"""The instrument held against true timings: errors, verdicts, the ceiling, and the command."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from breakeven.calibrate import kept
from breakeven.calibrate.cell import Cell, Pair, Result, compare
from breakeven.calibrate.grid import FIGURES, FULL, QUICK, ceiling, reads_right
from breakeven.calibrate.kept import Kept, keep, kept_ceiling
from breakeven.calibrate.text import ceiling_text, markdown, table
from breakeven.client.reference import Stamps
from breakeven.metrics.definitions import arrivals_s
from breakeven.record import LevelFacts, Record
from builders import an_honest_level, changed
from commands import breakeven

ZERO_S = 5000.0
DELAY_S = 0.001
CELL = Cell(users=4, itl_s=0.1116)
"""Its schedule asks for the 36 events a second that an honest level has."""


def a_level() -> tuple[LevelFacts, list[Record]]:
    """Four users whose prompts tell their requests apart."""
    facts, records = changed(an_honest_level(), lambda record: {"prompt": f"{record.user}/{record.k}"})
    return facts, list(records)


def stamps_of(records: list[Record], *, late_s: float = 0.0, keep_every: int = 1) -> Stamps:
    """What a server would have kept that wrote each event a millisecond before we read it, in another order."""
    served = [record for record in reversed(records) if record.chunk_us]
    writes = [(np.asarray(arrivals_s(record)) - DELAY_S + ZERO_S)[::keep_every] for record in served]
    write_s = np.concatenate(writes)
    counts = [len(own) for own in writes]
    zeros = np.zeros(len(served), dtype=np.int64)
    return Stamps(
        arrival_s=np.array([record.due_s + ZERO_S for record in served]),
        begun_s=np.array([record.due_s + ZERO_S for record in served]),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        write_s=write_s,
        due_s=write_s - late_s,
        input_tokens=zeros,
        output_tokens=np.array(counts, dtype=np.int64),
        peer_port=zeros,
        streamed=np.ones(len(served), dtype=np.bool_),
        gone=np.zeros(len(served), dtype=np.bool_),
        tag=np.array([record.prompt for record in served], dtype=np.str_),
    )


def compared(*, cell: Cell = CELL, **server: Any) -> Result:
    facts, records = a_level()
    return compare(cell, facts=facts, records=records, stamps=stamps_of(records, **server), zero_s=ZERO_S)


def test_each_figure_is_held_against_the_servers_own_stamps() -> None:
    result = compared()
    assert result.delay_p50_s == pytest.approx(DELAY_S, abs=2e-6)  # records keep whole microseconds
    for name, off_s in (("ttft", DELAY_S), ("e2e", DELAY_S), ("itl", 0.0), ("tpot", 0.0)):
        pair: Pair = getattr(result, name)
        assert pair.true_p50_s is not None
        assert pair.read_p50_s == pytest.approx(pair.true_p50_s + off_s, abs=2e-6), name
    assert abs(result.throughput_error) < 0.002
    assert result.matched == sum(bool(record.chunk_us) for record in a_level()[1])
    assert result.verdict == "ok"


@pytest.mark.parametrize(
    ("server", "cell", "verdict"),
    [
        ({}, CELL, "ok"),
        ({"late_s": 0.0009}, CELL, "ok"),
        ({"late_s": 0.0011}, CELL, "server-bound"),
        ({}, Cell(users=4, itl_s=0.1), "server-bound"),  # 40 events a second were asked for
        ({"keep_every": 2}, Cell(users=4, itl_s=0.3), "off"),  # we read twice what the server says it wrote
    ],
)
def test_the_verdict_says_whose_fault_it_is(server: dict[str, Any], cell: Cell, verdict: str) -> None:
    assert compared(cell=cell, **server).verdict == verdict


def test_failed_requests_are_no_good_reading() -> None:
    facts, records = a_level()
    failed = [
        msgspec.structs.replace(record, status="error", error="reset") if record.k == 3 else record
        for record in records
    ]
    result = compare(CELL, facts=facts, records=failed, stamps=stamps_of(records), zero_s=ZERO_S)
    assert (result.errors, result.verdict) == (4, "off")


def test_a_request_that_the_server_had_not_answered_ranks_last_in_the_truth_too() -> None:
    facts, records = a_level()
    waiting = [
        msgspec.structs.replace(record, chunk_us=b"", status="cut") if record.k % 2 else record for record in records
    ]
    result = compare(CELL, facts=facts, records=waiting, stamps=stamps_of(waiting), zero_s=ZERO_S)
    assert result.ttft.true_p99_s is None
    assert result.ttft.read_p99_s is None


def test_a_level_that_was_never_measured_has_no_figures() -> None:
    facts, records = a_level()
    nothing = stamps_of(records[:1])
    result = compare(CELL, facts=facts, records=[], stamps=nothing, zero_s=ZERO_S)
    assert (result.ttft.true_p50_s, result.delay_p50_s, result.matched) == (None, None, 0)


def read(events_per_s: float, *, error: float = 0.0, **fields: Any) -> Result:
    """A cell of so many events a second, read so much too high."""
    known: dict[str, Any] = {
        "true_events_per_s": events_per_s,
        "true_tok_per_s": events_per_s,
        "read_tok_per_s": events_per_s * (1 + error),
        "tpot": tpot(read_s=0.01),
        "verdict": "off" if abs(error) > 0.01 else "ok",
    }
    return msgspec.structs.replace(compared(), **known | fields)


def tpot(*, read_s: float) -> Pair:
    """A TPOT of 10 ms, and what was read."""
    return Pair(true_p50_s=0.01, read_p50_s=read_s, true_p99_s=None, read_p99_s=None)


@pytest.mark.parametrize(
    ("results", "events_per_s", "is_lower_bound"),
    [
        ([read(100), read(1000)], 1000, True),
        ([read(100), read(1000), read(5000, error=-0.2)], 1000, False),
        ([read(100), read(5000, error=-0.2, verdict="server-bound")], 100, True),
        ([read(100, error=0.02), read(1000)], 1000, True),  # an outlier below is not the end
        (
            [read(100), read(1000, tpot=tpot(read_s=0.0102))],
            100,
            True,
        ),
    ],
)
def test_the_ceiling_is_the_highest_load_that_was_read_right(
    results: list[Result], events_per_s: float, is_lower_bound: bool
) -> None:
    found = ceiling(results)
    assert found is not None
    assert (found.events_per_s, found.is_lower_bound) == (events_per_s, is_lower_bound)


def pair(true_ms: float, read_ms: float, *, p99: float | None = None) -> Pair:
    """The same at p50, or another reading at p99."""
    return Pair(
        true_p50_s=true_ms / 1e3, read_p50_s=read_ms / 1e3, true_p99_s=true_ms / 1e3, read_p99_s=(p99 or read_ms) / 1e3
    )


@pytest.mark.parametrize(
    ("name", "seen", "is_right"),
    [
        ("ITL", pair(10.0, 10.09), True),
        ("ITL", pair(10.0, 10.11), False),
        ("ITL", pair(10.0, 10.0, p99=20.0), False),
        ("ITL", pair(0.0, 0.001), True),  # events of one burst
        ("TTFT", pair(50.0, 50.9), True),  # 1 ms: both ways through the kernel
        ("TTFT", pair(50.0, 51.1), False),
        ("E2E", pair(1000.0, 1009.0), True),
        ("E2E", pair(1000.0, 1011.0), False),
        ("TPOT", Pair(true_p50_s=0.01, read_p50_s=0.01, true_p99_s=None, read_p99_s=None), True),
    ],
)
def test_a_figure_is_right_within_one_per_cent_at_p50_and_at_p99(name: str, seen: Pair, is_right: bool) -> None:
    fields: dict[str, Any] = {name.lower(): seen}
    assert reads_right(read(1000, **fields), name) == is_right
    assert not reads_right(read(1000, errors=1, **fields), name)


def test_every_figure_has_a_ceiling_of_its_own() -> None:
    late = pair(10.0, 10.0, p99=20.0)
    bursts = read(9000, cell=msgspec.structs.replace(CELL, burst=4))
    found = ceiling([read(100), read(1000), read(5000, itl=late, verdict="server-bound"), bursts])
    assert found is not None
    limits = {name: limit and (limit.events_per_s, limit.is_lower_bound) for name, limit in found.figures.items()}
    assert limits == dict.fromkeys(FIGURES, (9000, True)) | {"ITL": (1000, False)}
    assert ceiling_text(found) == (
        "ceiling of this machine, within 1 %: throughput, TTFT, TPOT, E2E ≥ 9000 events/s; ITL 1000 events/s; "
        "up to 4 users"
    )
    never = ceiling([read(100, itl=late)])
    assert never is not None
    assert "ITL at no load" in ceiling_text(never)


def test_a_machine_on_which_nothing_was_read_right_has_no_ceiling() -> None:
    assert ceiling([read(100, error=0.5)]) is None
    assert ceiling([]) is None
    assert "too busy" in ceiling_text(None)


def test_the_table_has_a_row_a_cell_and_a_dash_for_what_is_not_known() -> None:
    results = [read(1000), read(2000, delay_p99_s=None)]
    lines = table(results).splitlines()
    heads = [line for line in lines if line.split()[:1] == ["users"]]
    assert all(name in heads[0] for name in ("true tok/s", "read", "CPU µs/token", "µs/read", "verdict"))
    assert all(f"{name} p50" in heads[1] and f"{name} p99" in heads[1] for name in ("TTFT", "TPOT", "ITL", "E2E"))
    assert "–" in lines[2]
    assert [line.count("|") for line in markdown(results).splitlines()] == [13] * 4 + [0] + [12] * 4


def test_both_grids_begin_with_a_user_alone_and_the_full_one_reaches_ten_thousand() -> None:
    assert QUICK[0].users == FULL[0].users == 1
    assert max(cell.users for cell in FULL) == 10_000
    assert {cell.tokens_per_event for cell in FULL} == {1, 8, 64}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path))
    return tmp_path


HOST = {"cpu": "a", "cpu_cores": 2, "breakeven": "1", "memory_bytes": 1}


def test_a_ceiling_holds_for_the_machine_and_the_version_that_it_was_found_with(cache: Path) -> None:
    del cache
    assert kept_ceiling(HOST) is None
    found = ceiling([read(1000)])
    keep(Kept(made="2026-01-01T00:00:00+00:00", host=HOST, ceiling=found, cells=[]))
    assert kept_ceiling(HOST | {"memory_bytes": 2}) == found
    for key in ("cpu", "cpu_cores", "breakeven"):
        assert kept_ceiling(HOST | {key: "other"}) is None


@pytest.mark.parametrize("spoil", [lambda text: text[: len(text) // 2], lambda _text: "", lambda _text: "[]"])
def test_a_spoiled_file_is_no_ceiling(cache: Path, spoil: Callable[[str], str]) -> None:
    path = keep(Kept(made="", host=HOST, ceiling=ceiling([read(1000)]), cells=[]))
    assert path == cache / kept.FILE
    path.write_text(spoil(path.read_text()))
    assert kept_ceiling(HOST) is None


def test_the_command_measures_this_machine_and_keeps_what_it_found(tmp_path: Path) -> None:
    told = breakeven(
        *("calibrate", "--users", "3", "--markdown", tmp_path / "table.md", "--json", "-"),
        env={"BREAKEVEN_CACHE": str(tmp_path)},
    )
    assert told.code == 0, told.err
    assert told.json == json.loads((tmp_path / kept.FILE).read_text())
    (cell,) = told.json["cells"]
    assert cell["errors"] == 0
    assert abs(cell["throughput_error"]) < 0.01
    assert math.isclose(cell["tpot"]["read_p50_s"], cell["tpot"]["true_p50_s"], rel_tol=0.01)
    assert 0 <= cell["ttft"]["read_p50_s"] - cell["ttft"]["true_p50_s"] < 0.01
    assert told.json["ceiling"]["users"] == 3
    assert "3 users, 1 tok/event" in told.err
    assert "ceiling of this machine" in (tmp_path / "table.md").read_text()
