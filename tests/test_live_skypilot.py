"""SkyPilot's own API server, started here without a cloud, is asked as `fleet submit` asks it.

`BREAKEVEN_SKYPILOT_PYTHON` names a Python that has `skypilot`. No machine is rented: what a launch says where there is
no cloud is all that the real server can do here.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.fleet.jobs.skypilot_api import OLDEST, RELEASE, VERSION
from commands import finish
from handed import HandedOut
from live import python_with

pytestmark = pytest.mark.live

VERSIONS = """
import sky
from sky.server import constants
print(sky.__version__, constants.API_VERSION, constants.MIN_COMPATIBLE_API_VERSION)
"""


@pytest.fixture(scope="module")
def python() -> str:
    return python_with("BREAKEVEN_SKYPILOT_PYTHON", "sky")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Nobody's clouds, and no telemetry."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def env_of(home: Path, **more: str) -> dict[str, str]:
    """Without what says who we are at any cloud."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SSL_CERT_FILE")}
    return {**kept, "HOME": str(home), "USER": "tester", "SKYPILOT_DISABLE_USAGE_COLLECTION": "1", **more}


@pytest.fixture
def real(python: str, home: Path) -> Iterator[str]:
    """Its server, in a session of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [python, "-m", "sky.server.server", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.txt").open("wb") as log:
        server = subprocess.Popen(
            words, env=env_of(home), cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    url, end_s = f"http://127.0.0.1:{port}", time.monotonic() + 180.0
    try:
        while not is_healthy(url):
            assert server.poll() is None, (home / "server.txt").read_text()[-3000:]
            assert time.monotonic() < end_s, "its server did not start"
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5) as answer:
            return bool(json.load(answer)["status"] == "healthy")
    except (urllib.error.URLError, OSError):
        return False


def test_its_protocol_is_the_one_that_we_speak(python: str, home: Path) -> None:
    done = subprocess.run([python, "-c", VERSIONS], env=env_of(home), capture_output=True, text=True, check=True)
    release, version, oldest = done.stdout.split()[-3:]
    assert release == RELEASE
    assert int(version) == VERSION
    assert int(oldest) == OLDEST


def test_a_real_server_without_a_cloud_has_no_node(real: str, home: Path, tmp_path: Path) -> None:
    handed = HandedOut(tmp_path, to="skypilot", env=env_of(home, SKYPILOT_API_SERVER_ENDPOINT=real), node="")
    handed.render(count=1, head="tries = 1")
    done = finish(handed.start(), timeout_s=600.0)
    assert done.code == 0, done.err
    (job,) = handed.jobs()
    assert (job.outcome, "cloud access is not set up" in (job.reason or "").lower()) == ("no_node", True), job
    again = handed.says("submit")
    assert again.code == 0, again.err
    assert [job.tries for job in handed.jobs()] == [1]
    assert handed.says("status").code == 0
    assert handed.says("stop").code == 0
