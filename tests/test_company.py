"""Who else is busy on the machine of a measurement: seen, named, and told from client and engine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.store.running import Running
from breakeven.telemetry.company import Company
from breakeven.telemetry.handle import port_of
from breakeven.telemetry.source import AbsentError, Row
from commands import breakeven, finish, heard, start

QUICK = Settings(ttft_s=0.02, itl_s=0.005)
SPIN = "import ctypes, sys\nctypes.CDLL(None).prctl(15, sys.argv[1].encode())\nwhile True: pass\n"
"""Busy under a name of its own (PR_SET_NAME)."""
LISTEN = (
    "import ctypes, socket, sys\nctypes.CDLL(None).prctl(15, sys.argv[1].encode())\n"
    "own = socket.create_server(('127.0.0.1', 0))\nprint(own.getsockname()[1], flush=True)\nwhile True: pass\n"
)
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="/proc is Linux'")


@contextmanager
def busy(name: str, *, script: str = SPIN) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", script, name], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def spent(source: Company, *, s: float = 0.6) -> dict[str | None, float]:
    """By name, what was spent between two looks."""
    list(source.rows())
    time.sleep(s)
    return {row.device: next(iter(row.values.values())) for row in looked(source)}


def looked(source: Company) -> list[Row]:
    source._next_s = 0.0  # a look that was dear must not be waited for here
    return list(source.rows())


def test_a_busy_process_is_named_and_what_is_ours_or_idle_is_not() -> None:
    with busy("a-stranger"):
        found = spent(Company(port=None, ours=1 << 22))
        assert found["a-stranger"] > 0.01
        assert (found[None] or 0.0) >= found["a-stranger"]
        assert "a-stranger" not in spent(Company(port=None, ours=os.getpid()))  # we started it


def test_a_process_that_begins_between_two_looks_counts_from_its_start() -> None:
    source = Company(port=None, ours=1 << 22)
    list(source.rows())
    with busy("late-comer"):
        time.sleep(0.6)
        rows = [row for row in looked(source) if row.device == "late-comer"]
    assert [row.values["cpu_s"] > 0 for row in rows] == [False, True]


def test_what_listens_on_the_port_is_the_engine_and_no_company() -> None:
    with busy("an-engine", script=LISTEN) as engine, busy("a-stranger"):
        assert engine.stdout is not None
        found = spent(Company(port=int(engine.stdout.readline()), ours=1 << 22))
    assert "an-engine" not in found
    assert found["a-stranger"] > 0.01


def test_an_engine_that_cannot_be_seen_leaves_company_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(AbsentError, match=f"what listens on port {port} cannot be seen"):
        Company(port=port)
    with pytest.raises(AbsentError, match="socket file"):
        Company(port=None, in_socket_file=True)
    with pytest.raises(AbsentError, match="Linux only"):
        Company(port=None, root="/nowhere")


def a_proc(root: Path, processes: dict[int, tuple[str, int, int]]) -> None:
    """Number -> name, parent, ticks."""
    for pid, (name, parent, ticks) in processes.items():
        folder = root / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        rest = f"S {parent} " + "0 " * 9 + f"{ticks} 0 " + "0 " * 6 + f"{pid * 10} 0"
        (folder / "stat").write_bytes(f"{pid} ({name}) {rest}\n".encode())
    (root / "self").mkdir(exist_ok=True)
    (root / "self" / "stat").write_text("")


def test_names_are_cleaned_kernel_threads_are_nobodys_and_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    evil = "e) (vil\x1b[2J"
    names = {1: ("init", 0, 0), 2: ("kthreadd", 0, 0), 9: ("kworker", 2, 0), 20: (evil, 1, 0), 30: ("ours", 1, 0)}
    a_proc(tmp_path, names | {31: ("child", 30, 0)})
    source = Company(port=None, root=str(tmp_path), ours=30, ticks_per_s=100)
    list(source.rows())
    a_proc(tmp_path, {9: ("kworker", 2, 500), 20: (evil, 1, 300), 30: ("ours", 1, 500), 31: ("child", 30, 500)})
    (tmp_path / "40").mkdir()
    (tmp_path / "41").mkdir()
    (tmp_path / "41" / "stat").write_bytes(b"41 (broken")
    found = {row.device: row.values for row in looked(source)}
    assert found == {"e) (vil [2J": {"cpu_s": 3.0}, None: {"others_cpu_s": 3.0}}


def test_a_child_of_ours_stays_ours_when_its_parent_ends(tmp_path: Path) -> None:
    a_proc(tmp_path, {1: ("init", 0, 0), 30: ("ours", 1, 0), 31: ("middle", 30, 0), 32: ("child", 31, 0)})
    source = Company(port=None, root=str(tmp_path), ours=30, ticks_per_s=100)
    list(source.rows())
    (tmp_path / "31" / "stat").unlink()
    a_proc(tmp_path, {32: ("child", 1, 900)})
    assert [row.device for row in looked(source)] == [None]


def test_a_dear_look_is_not_repeated_soon() -> None:
    source = Company(port=None)
    assert list(source.rows())
    source._next_s = float("inf")
    assert list(source.rows()) == []


@pytest.mark.parametrize(
    ("url", "port"), [("http://h:81/v1", 81), ("http://h", 80), ("https://h", 443), ("x://h", None)]
)
def test_the_port_of_an_address_is_its_own_or_its_schemes(url: str, port: int | None) -> None:
    assert port_of(url) == port


# in a run


def level_of(json: Any) -> Any:
    (level,) = json["levels"]
    return level


def test_a_run_beside_a_busy_process_says_so_and_show_says_it_later(tmp_path: Path) -> None:
    load = ("--users", "2", "--duration", "3", "--warmup", "0.5", "--output-tokens", "8", "--out", tmp_path)
    with ReferenceServer(QUICK) as server, busy("a-stranger"):
        done = breakeven("run", "--url", server.url, *load, "--json", "-")
    extra = level_of(done.json)["extra"]
    names = {one["name"]: one["cores"] for one in extra["company"]}
    assert names["a-stranger"] > 0.1
    assert extra["company_cores"] >= names["a-stranger"]
    assert "company" in done.caution_ids(0)
    (folder,) = tmp_path.iterdir()
    shown = breakeven("show", folder)
    page = tmp_path / "page.html"
    assert breakeven("report", folder, "--html", page).code == 0
    for text in (done.err, shown.out, page.read_text()):
        assert "other processes were busy meanwhile" in " ".join(text.split())
        assert "a-stranger" in text


def test_two_runs_at_once_are_told_of_one_another(tmp_path: Path) -> None:
    env = {"BREAKEVEN_CACHE": str(tmp_path / "cache")}
    load = ("--users", "1", "--warmup", "0.3", "--output-tokens", "8")
    with ReferenceServer(QUICK) as server:
        long = ("--duration", "8", "--out", tmp_path / "a", "--json", "-")
        first = start("run", "--url", server.url, *load, *long, env=env)
        heard(first, "1 user: measuring")
        words = ("run", "--url", server.url, *load, "--duration", "1", "--out", tmp_path / "b", "--json", "-")
        second = finish(start(*words, env=env))
        ended = finish(first)
    assert f"two runs measure on this machine: process {first.pid} too; both read less than alone" in second.err
    assert "other_run" in second.caution_ids(0)
    assert "other_run" in ended.caution_ids(0)
    assert list((tmp_path / "cache" / "running").iterdir()) == []


def test_a_mark_ends_with_its_process(tmp_path: Path) -> None:
    script = "import sys\nfrom pathlib import Path\nfrom breakeven.store.running import Running\n"
    script += "with Running(Path(sys.argv[1])):\n    print('here', flush=True)\n    sys.stdin.read()\n"
    words = [sys.executable, "-c", script, str(tmp_path)]
    with Running(tmp_path) as mine:
        assert mine.others() == frozenset()
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "here\n"
            assert mine.others() == {other.pid}
            other.kill()
            other.wait()
            assert mine.others() == frozenset()
            assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
    assert list(tmp_path.iterdir()) == []


def test_where_no_mark_can_be_made_nothing_is_known_and_nothing_stops(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Running(tmp_path / "file" / "running") as mine:
        assert mine.others() == frozenset()
