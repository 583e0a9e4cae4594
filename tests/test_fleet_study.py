"""The cells of a study are handed out, and each one's run folder comes home, where `runs` and `compare` find it."""

import io
import json
import os
import subprocess
import sys
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.errors import UsageError
from breakeven.fleet.jobs.parcel import BEGIN, END, MOST_OUTPUT_BYTES, MOST_PACKED_BYTES, packing, unpack
from breakeven.store.folder import RunFolder
from commands import breakeven
from on_server import SERVERS, on_server
from study_plans import TWO_ENGINES

RENTED = """
[study]
name = "one"
[[models]]
name = "m"
model = "truth"
[[engines]]
name = "vllm"
engine = "vllm"
via = "docker"
[[hardware]]
name = "rtx4090"
gpu = "rtx4090"
[[workloads]]
name = "w"
output_tokens = 16
[levels]
users = [1]
duration_s = 0.4
"""
CELL = f"""#!/bin/sh
# the container's breakeven: the engine of the plan cannot be here, so the reference server is measured
test -s plan.toml || exit 9
exec {sys.executable} -m breakeven run --url $TRUTH --users 1 --duration 0.4 --warmup 0 --ramp 0 \\
  --output-tokens 8 --out "$4"
"""


def study(tmp_path: Path, text: str) -> Path:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    return plan


def test_cells_run_here_and_their_runs_are_compared(tmp_path: Path) -> None:
    grid = tmp_path / "grid"
    done = breakeven(
        "fleet", "render", "--to", "local", study(tmp_path, TWO_ENGINES.replace("repeats = 2", "")), "--out", grid
    )
    assert done.code == 0, done.err
    done = breakeven("fleet", "submit", grid)
    assert done.code == 0, done.err
    assert "2 of the cells' run folders are here" in done.out
    runs = sorted((grid / "runs").iterdir())
    assert [run.name for run in runs] == ["m-fast-w", "m-slow-w"]
    assert all(len(RunFolder.open(run).finished()) == 2 for run in runs)
    assert [json.loads(told.read_bytes()).keys() & {"plan"} for told in grid.glob("local/*/told.json")] == [set()] * 2
    assert "m-slow-w" in breakeven("runs", "--out", grid / "runs").out
    compared = breakeven("compare", *runs)
    assert compared.code == 0, compared.err
    again = breakeven("fleet", "submit", grid)
    assert again.code == 0, again.err
    taken = breakeven("fleet", "import", grid, "--to", tmp_path / "set")
    assert taken.code == 2
    assert taken.line().endswith(f"`breakeven compare {grid}/runs/*` compares them")
    assert not (tmp_path / "set").exists()


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_url: str) -> None:
    """What a cell's script finds in the engine's image: pip that does nothing, and breakeven in its place."""
    home, bin_ = tmp_path / "home", tmp_path / "bin"
    for folder in (".breakeven", ".breakeven-uv"):
        (home / folder / "bin").mkdir(parents=True)
    bin_.mkdir()
    nothing = "#!/bin/sh\n"
    uv = home / ".breakeven-uv/bin/uv"
    for path, text in ((home / ".breakeven/bin/breakeven", CELL), (bin_ / "python3", nothing), (uv, nothing)):
        path.write_text(text)
        path.chmod(0o755)
    for name, value in (("HOME", home), ("PATH", f"{bin_}:{os.environ['PATH']}"), ("TRUTH", reference_url)):
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def reference_url() -> Iterator[str]:
    words = [sys.executable, "-m", "breakeven.client.reference", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
        server.kill()


@pytest.mark.parametrize("to", SERVERS)
def test_a_cells_run_folder_comes_home_through_the_log_of_its_job(container: None, tmp_path: Path, to: str) -> None:
    with on_server(to, tmp_path) as handed:
        done = breakeven("fleet", "render", "--to", to, study(tmp_path, RENTED), "--out", handed.path)
        assert done.code == 0, done.err
        done = handed.submit()
        assert done.code == 0, done.err
    assert [(job.outcome, job.reason) for job in handed.jobs()] == [("done", None)]
    (run,) = (handed.path / "runs").iterdir()
    assert RunFolder.open(run).finished()[0].users == 1
    assert (run / "summary.json").exists()


def packed(tmp_path: Path, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", packing(str(folder))], capture_output=True, text=True, check=True)
    return done.stdout


def parcel(*members: tuple[str, bytes, bytes]) -> str:
    """One made by hand: names, kinds and contents."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            tar.addfile(info, io.BytesIO(data))
    return f"{BEGIN}\n{b64encode(made.getvalue()).decode()}\n{END}\n"


def test_a_parcel_is_read_whatever_a_grid_writes_before_its_lines(tmp_path: Path) -> None:
    run = tmp_path / "made" / "2026-x"
    (run / "records").mkdir(parents=True)
    (run / "plan.toml").write_text("users = [1]\n")
    (run / "records" / "u1.parquet").write_bytes(bytes(range(256)) * 64)
    text = packed(tmp_path, run.parent)
    prefixed = "".join(f"(job, pid=12) {line}" for line in text.splitlines(True))
    coloured = "".join(f"\x1b[36m(job, pid=12)\x1b[0m {line}" for line in text.splitlines(True)).replace(
        "\n", "\x1b[0m\n"
    )
    for number, output in enumerate((f"before\n{text}after\n", prefixed.replace("\n", "\r\n"), coloured)):
        home = unpack(output, tmp_path / "home" / str(number))
        assert home is not None
        assert (home / "records/u1.parquet").read_bytes() == bytes(range(256)) * 64


def test_where_no_folder_was_made_nothing_is_printed(tmp_path: Path) -> None:
    assert packed(tmp_path, tmp_path / "none") == ""
    assert unpack("no parcel\n", tmp_path / "home") is None
    assert unpack(f"{BEGIN}\nabcd\n", tmp_path / "home") is None


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("../../evil", tarfile.REGTYPE, b"x"),
        ("/tmp/evil", tarfile.REGTYPE, b"x"),
        ("run/../../evil", tarfile.REGTYPE, b"x"),
        ("run/plan.toml", tarfile.SYMTYPE, b""),
        ("run/plan.toml", tarfile.LNKTYPE, b""),
        ("run/pipe", tarfile.FIFOTYPE, b""),
        ("run/a/b/c/d", tarfile.REGTYPE, b"x"),
        ("run/a b", tarfile.REGTYPE, b"x"),
        ("run/..", tarfile.REGTYPE, b"x"),
    ],
)
def test_a_parcel_that_reaches_outside_is_refused_whole(tmp_path: Path, name: str, kind: bytes, data: bytes) -> None:
    text = parcel(("run/plan.toml", tarfile.REGTYPE, b""), (name, kind, data))
    if name == "/tmp/evil":
        assert unpack(text, tmp_path / "home" / "run") is not None  # a leading slash is none
        return
    with pytest.raises(UsageError, match="no plain file with a plain name"):
        unpack(text, tmp_path / "home" / "run")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("body", ["????", "aGVsbG8=", b64encode(b"\x1f\x8b\x08").decode()])
def test_a_parcel_that_is_none_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(UsageError, match="cannot be unpacked"):
        unpack(f"{BEGIN}\n{body}\n{END}\n", tmp_path / "run")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    text = parcel(("run/plan.toml", tarfile.REGTYPE, bytes(600 * 2**20)))
    with pytest.raises(UsageError, match="larger than 512 MiB"):
        unpack(text, tmp_path / "run")


def test_the_largest_parcel_fits_into_what_is_read_of_a_job() -> None:
    """As Nosana tells it: each line of 4,000 characters is an object of its own."""
    line = json.dumps({"type": "stdout", "log": "A" * 4000 + "\n", "timestamp": "2026-11-29T12:00:00.000Z"})
    assert MOST_PACKED_BYTES * 4 / 3 / 4000 * len(line) < MOST_OUTPUT_BYTES
