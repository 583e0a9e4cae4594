"""Whatever a stored folder holds ends at most its own row, with one clear line, and changes no figure unseen.

The search is seeded and bounded: BREAKEVEN_FUZZ_S seconds (10 a kind) from BREAKEVEN_FUZZ_SEED.
"""

import copy
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from breakeven.app.serve import Shelf
from breakeven.cli import main
from breakeven.record import LevelFacts
from breakeven.store.folder import RunFolder
from breakeven.store.table import write_level
from builders import a_record
from commands import breakeven
from report_runs import make_run

FUZZ_S = float(os.environ.get("BREAKEVEN_FUZZ_S", "10"))
SEED = int(os.environ.get("BREAKEVEN_FUZZ_SEED", "13"))
VALUES: list[Any] = [
    *(None, [], {}, "x", "", -1, 0, 1e308, 10**40, True, [1], [None], [[]], {"a": 1}, {"name": [1]}),
    *([{"name": {}}], "\u202e\x1b[31m[/y]", "x" * 100_000, {"name": "[/y]", "text": 1}),
]
HOST_MORE: dict[str, dict[str, Any]] = {
    "engine": {
        "argv": ["vllm", "--x"],
        "settings": {"slots": 1},
        "starts": [{"started": "2026-11-01T12:00:00+00:00", "start_s": 1.0, "repeat": None}],
    },
    "host": {"declared": {"gpu": "L4", "count": 2}},
}
SETTINGS: dict[str, Any] = {
    "options": {"a": 1},
    "notes": ["x"],
    "unit": "tokens",
    "think_s": 0.0,
    "source": "z",
    "imported": {"tool": "x", "notes": ["y"]},
}
Places = tuple[str | int, ...]


class Shelved:
    """A folder of two runs, of which one is spoiled again and again, and the commands that read it."""

    def __init__(self, out: Path) -> None:
        self.out = out / "runs"
        self.good = make_run(self.out, engine="sglang", users=(1, 5, 20), window_s=4.0, power_w=100.0)
        self.bad = make_run(self.out, users=(1, 5, 20), window_s=4.0)
        self.imported = self.out / "imported"
        self.imported.mkdir()
        self._page = out / "page.html"

    def read(self, path: Path) -> set[int]:
        """Ask every command for it: an exit code each, and no traceback."""
        rows = Shelf(self.out).runs()
        assert {row["id"] for row in rows if row["error"] is None} >= {self.good.id}
        json.dumps(rows)
        return {
            main([str(word) for word in words])
            for words in (
                ("runs", "--out", self.out),
                ("show", path, "--json", os.devnull),
                ("report", path, "--md", os.devnull),
                ("report", path, self.good.path, "--html", self._page),
                ("compare", path, self.good.path),
            )
        }


@pytest.fixture
def shelved(tmp_path: Path) -> Shelved:
    return Shelved(tmp_path)


def places(node: Any, at: Places = ()) -> Iterator[Places]:
    yield at
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in inside:
        yield from places(item, (*at, key))


def put(document: Any, at: Places, value: Any) -> Any:
    if not at:
        return value
    found = copy.deepcopy(document)
    node = found
    for key in at[:-1]:
        node = node[key]
    node[at[-1]] = value
    return found


def shapes(document: Any, *, dice: random.Random) -> Iterator[bytes]:
    """The document with one place of another shape, or one byte of another value; for a bounded time."""
    everywhere, until_s = list(places(document)), time.perf_counter() + FUZZ_S
    whole = json.dumps(document).encode()
    while time.perf_counter() < until_s:
        yield json.dumps(put(document, dice.choice(everywhere), dice.choice(VALUES))).encode()
        yield flipped(whole, dice=dice)


def flipped(data: bytes, *, dice: random.Random) -> bytes:
    found = bytearray(data)
    found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
    return bytes(found)


def host_document(folder: RunFolder) -> dict[str, Any]:
    found = json.loads((folder.path / "host.json").read_text())
    for name, more in HOST_MORE.items():
        found[name] |= more
    found["run"]["settings"] |= SETTINGS
    return dict(found)


def test_a_host_json_of_any_shape_ends_at_most_its_own_row(
    shelved: Shelved, capsys: pytest.CaptureFixture[str]
) -> None:
    host = host_document(shelved.bad)
    for data in shapes(host, dice=random.Random(SEED)):
        (shelved.bad.path / "host.json").write_bytes(data)
        assert shelved.read(shelved.bad.path) <= {0, 1, 2, 3}
        told = capsys.readouterr()
        assert "\x1b" not in told.out + told.err, data
        assert "\u202e" not in told.out + told.err, data


def test_a_summary_json_of_any_shape_ends_at_most_its_own_line(
    shelved: Shelved, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shelved.imported / "summary.json"
    main(["show", str(shelved.good.path), "--json", str(path)])
    for data in shapes(json.loads(path.read_text()), dice=random.Random(SEED + 1)):
        path.write_bytes(data)
        assert shelved.read(shelved.imported) <= {0, 1, 2, 3}
        told = capsys.readouterr()
        assert "\x1b" not in told.out + told.err, data


@pytest.mark.parametrize("name", ["plan.toml", "records/u00005-r0.parquet", "host.json"])
def test_a_file_of_a_run_with_any_bytes_ends_at_most_its_own_row(
    shelved: Shelved, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A figure is as it was, or the run says in one line what is broken."""
    path, dice, until_s = shelved.bad.path / name, random.Random(SEED + 2), time.perf_counter() + FUZZ_S / 2
    whole, before = path.read_bytes(), figures(shelved.bad.path)
    ways: list[Callable[[], bytes]] = [
        lambda: flipped(whole, dice=dice),
        lambda: whole[: dice.randrange(len(whole))],
        lambda: dice.randbytes(50),
        lambda: whole * 2,
    ]
    while time.perf_counter() < until_s:
        path.write_bytes(dice.choice(ways)())
        assert shelved.read(shelved.bad.path) <= {0, 1, 2, 3}
        capsys.readouterr()
        found = figures(shelved.bad.path)
        assert found in (None, before)


def figures(path: Path) -> list[Any] | None:
    """The throughput of each level; None where the run cannot be read."""
    to = path.parent / "figures.json"
    if main(["show", str(path), "--json", str(to)]) not in (0, 3):
        return None
    return [level["output_tok_per_s"] for level in json.loads(to.read_text())["levels"]]


def test_a_log_with_any_damage_gives_the_same_figures_or_says_that_records_are_lost(tmp_path: Path) -> None:
    """A bit flipped in a level's log made 677 of 807 tok/s, with exit code 0."""
    folder = make_run(tmp_path, users=(1,), window_s=4.0)
    facts, records = next(folder.levels())
    (sealed,) = (folder.path / "records").iterdir()
    sealed.unlink()
    log = folder.start_level(facts)
    for record in records:
        log.put(record)
    log.close()
    whole, dice, until_s = log.path.read_bytes(), random.Random(SEED), time.perf_counter() + FUZZ_S / 2
    while time.perf_counter() < until_s:
        log.path.write_bytes(flipped(whole, dice=dice))
        ((found, kept),) = folder.levels()
        assert not found.is_whole
        assert len(kept) < len(records)
        assert found.users == 1


def test_a_level_that_lost_records_carries_a_caution_and_is_measured_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path, users=(1,), window_s=4.0)
    ((facts, records),) = folder.levels()
    log = folder.start_level(facts)
    for record in records:
        log.put(record)
    log.close()
    data = bytearray(log.path.read_bytes())
    data[len(data) // 2] ^= 1
    log.path.write_bytes(data)
    kept, fewer = folder.seal_level(facts)
    assert len(fewer) < len(records)
    assert folder.finished() == []
    told = breakeven("show", folder.path, "--json", "-")
    assert "log_damaged" in told.caution_ids(0)
    assert kept.notes[0].id == "log_damaged"
    assert "u00001-r0.client0.log cannot be read to its end" in told.err


def test_an_engine_that_counts_no_tokens_under_text_is_counted_by_chunks(tmp_path: Path) -> None:
    """A final usage with completion_tokens 0 was a ZeroDivisionError in run, show, runs and --serve."""
    folder = make_run(tmp_path, users=(1,))
    (tmp_path / folder.id / "records" / "u00001-r0.parquet").unlink()
    facts = LevelFacts(users=1, start_s=0.0, open_s=1.0, close_s=11.0, end_s=11.0, stopped="duration")
    log = folder.start_level(facts)
    for k in range(22):
        log.put(a_record(due_s=k / 2, k=k, chunks_at_s=[k / 2 + 0.05 * n for n in range(10)], output_tokens=0))
    log.close()
    folder.seal_level(facts)
    done = breakeven("show", folder.path, "--json", "-")
    (level,) = done.json["levels"]
    assert level["output_tok_per_s"]["value"] == pytest.approx(20.0, rel=0.02)
    assert "estimated_tokens" in done.caution_ids(0)


def test_a_link_to_elsewhere_and_a_pipe_among_the_records_are_passed_over(
    shelved: Shelved, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    elsewhere = make_run(tmp_path / "elsewhere", users=(1,), name="secret")
    (shelved.out / "link").symlink_to(elsewhere.path)
    os.mkfifo(shelved.bad.path / "records" / "u00007-r0.client0.log")
    assert shelved.read(shelved.bad.path) == {0}
    assert "secret" not in capsys.readouterr().out
    assert elsewhere.id not in {row["id"] for row in Shelf(shelved.out).runs()}


def test_a_run_that_nobody_can_read_is_a_row_of_the_list(shelved: Shelved) -> None:
    (shelved.bad.path / "host.json").write_text('{"run": {"model": ["[/y]"]}}')
    done = breakeven("runs", "--out", shelved.out)
    assert (done.code, done.err) == (0, "")
    rows = [" ".join(line.split()) for line in done.out.splitlines()]
    assert f"{shelved.bad.id} unreadable" in rows
    assert (
        f"unreadable: {shelved.bad.path}/host.json: Expected `str | null`, got `array` - at `$.run.model`" in done.out
    )
    assert any(row.startswith(f"{shelved.good.id} Llama-3.1") for row in rows)


@pytest.mark.parametrize("closed", ["", "records", "plan.toml", "host.json"])
def test_a_run_that_is_not_ours_to_read_ends_no_list(tmp_path: Path, closed: str) -> None:
    """By a user of few rights, in a folder that anybody may reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shelved = Shelved(Path(folder))
        (shelved.bad.path / closed).chmod(0)
        (shelved.out / "study").mkdir(mode=0o711)
        (shelved.out / "study" / "study.toml").write_text("")
        (shelved.out / "study" / "study.json").touch(mode=0o600)
        process = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(shelved.out)], capture_output=True, text=True, check=False
        )
        (shelved.bad.path / closed).chmod(0o755)  # to be removed by whoever made it
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.count(shelved.good.id) == 2


AS_NOBODY = """
import json, os, sys
from pathlib import Path
from breakeven.app.serve import Shelf
from breakeven.cli import main
import breakeven.app.commands, breakeven.exchange, breakeven.findings, rich.table, arro3.io, arro3.core
if os.geteuid() == 0:  # root may read whatever is closed
    os.setuid(65534)
shelf = Shelf(Path(sys.argv[1]))
print(json.dumps(shelf.runs()))
assert [one["runs"] for one in shelf.studies()] == [[]]
sys.exit(main(["runs", "--out", sys.argv[1]]))
"""


@pytest.mark.parametrize(
    "changes", [{"users": -1}, {"open_s": 1e15}, {"open_s": 5.0, "close_s": 4.0}, {"start_s": -1e308}]
)
def test_a_level_that_no_clock_gave_is_one_line(shelved: Shelved, changes: dict[str, Any]) -> None:
    """Sealed rightly, as whoever makes such a folder can: it was a MemoryError of 71 PiB, or a division by zero."""
    facts, records = next(shelved.bad.levels())
    path = shelved.bad.path / "records" / "u00001-r0.parquet"
    write_level(path, facts=replace(facts, **changes), records=records)
    done = breakeven("show", shelved.bad.path)
    assert done.code == 1
    assert "u00001-r0: a level holds what cannot be measured" in done.line()
