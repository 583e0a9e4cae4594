"""`--clients ray:N` joins a cluster that runs, or says in one line and soon why it cannot."""

import http.server
import re
import socket
import sys
import threading
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from breakeven.errors import UsageError
from breakeven.load.ray_cluster import check_reach, parse_address
from commands import Done, breakeven
from fault_server import FaultServer

if sys.platform != "linux":
    pytest.skip("Ray is a test tool on Linux alone", allow_module_level=True)

FLAGS = ("--clients", "ray:2", "--users", "2", "--duration", "1", "--output-tokens", "4")


def run_at(address: str, tmp_path: Path, **env: str) -> Done:
    """Run with this RAY_ADDRESS; the server must not be asked, nothing must be left, and it must not take long."""
    began_s = time.perf_counter()
    with FaultServer() as server:
        known = {"RAY_ADDRESS": address, "HOME": str(tmp_path / "home")}
        done = breakeven("run", "--url", server.url, *FLAGS, "--out", tmp_path / "runs", env=known | env)
        assert server.requests == []
    assert time.perf_counter() - began_s < 10
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "home").exists()
    assert done.err.splitlines() == [done.line()]
    return done


def test_a_head_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    done = run_at("127.0.0.1:1", tmp_path)
    assert done.code == 1
    assert done.line() == (
        "breakeven: no Ray head answers at 127.0.0.1:1 (RAY_ADDRESS): connection refused; start one there with "
        "`ray start --head`, or set RAY_ADDRESS=HOST:PORT to another"
    )


def test_what_takes_connections_and_says_nothing_is_no_head(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run_at(f"127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert done.code == 1
    assert "(RAY_ADDRESS): timed out;" in done.line()


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_web_server_is_no_head(tmp_path: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        threading.Thread(target=server.handle_request).start()
        done = run_at(f"127.0.0.1:{server.server_port}", tmp_path)
    assert done.code == 1
    assert "(RAY_ADDRESS): what answers there is not Ray;" in done.line()


@pytest.mark.skipif(any(one.name() == "gcs_server" for one in psutil.process_iter()), reason="a Ray cluster runs here")
def test_no_cluster_is_started_where_there_is_none(tmp_path: Path) -> None:
    done = run_at("", tmp_path, RAY_TMPDIR=str(tmp_path))
    assert done.code == 1
    assert "no Ray cluster runs on this machine; start one with `ray start --head`, or name" in done.line()


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ("127.0.0.1:1\n", "no Ray head answers at 127.0.0.1:1 (started last on this machine): connection refused;"),
        ("no address", "no Ray cluster runs on this machine;"),
        ("\xff:1", "no Ray cluster runs on this machine;"),
    ],
)
def test_the_cluster_that_was_started_last_here_is_found_by_the_file_that_ray_documents(
    kept: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(kept, encoding="latin-1")
    done = run_at("", tmp_path, RAY_TMPDIR=str(tmp_path))
    assert done.code == 1
    assert says in done.line()


def test_no_private_name_of_ray_is_used() -> None:
    sources = (Path(__file__).parent.parent / "src").rglob("*.py")
    assert not [path.name for path in sources if re.search(r"\bray\._", path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("address", ["ray://10.0.0.9:10001", "local", "10.0.0.9", "10.0.0.9:head"])
def test_an_address_that_cannot_be_meant_is_wrong_usage(address: str, tmp_path: Path) -> None:
    done = run_at(address, tmp_path)
    assert done.code == 2
    assert f"RAY_ADDRESS={address}: give the HOST:PORT of a running cluster's head" in done.line()


def test_an_address_is_a_host_and_a_port_and_auto_is_this_machine() -> None:
    assert parse_address("auto") is parse_address("") is None
    assert parse_address("box:6379") == ("box", 6379, "RAY_ADDRESS")
    found = parse_address("[fd00::1]:6379")
    assert found is not None
    assert (found.host, found.text) == ("fd00::1", "[fd00::1]:6379")
    with pytest.raises(UsageError):
        parse_address(":6379")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/v1", "http://[::1]:8000", None])
def test_a_server_that_one_host_alone_can_reach_is_refused_on_a_cluster_of_several(url: str | None) -> None:
    check_reach(url, hosts=["10.0.0.1"])
    with pytest.raises(UsageError) as raised:
        check_reach(url, hosts=["10.0.0.2", "10.0.0.1"])
    what = "an engine that is started here" if url is None else f"--url {url}"
    assert str(raised.value) == (
        f"--clients ray:N: {what} can be reached from this host only, and the cluster has 2 (10.0.0.1, 10.0.0.2); give "
        "--url an address that all of them reach"
    )


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000", "https://llm.example.com", "http://[fd00::7]:8000"])
def test_a_server_with_an_address_of_its_own_is_asked_from_every_host(url: str) -> None:
    check_reach(url, hosts=["10.0.0.1", "10.0.0.2"])
