"""More users than the client may have connections: refused before the first request, or the client's own error."""

import errno
import math
import resource
from functools import partial
from pathlib import Path

import pytest

from breakeven.client.connection import why
from breakeven.errors import UsageError
from breakeven.load.files import RESERVED_FILES, check_users, raise_limit
from commands import LEVELS, finish, heard, start
from fault_answers import answer
from fault_server import FaultServer
from fault_wire import Wire
from faults import status


def gone(wire: Wire) -> None:
    status(404)(wire)


def limited(soft: int, hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    """1,024 files is the common soft limit; 1,500 users had 3,566 errors and the verdict ok."""
    with FaultServer({"good": answer(itl_s=0.02), "/metrics": gone}) as server:
        words = ("run", "--url", server.url, "--users", "150", "--duration", "2", *LEVELS, "--out", tmp_path)
        process = start(*words, "--json", "-", preexec_fn=partial(limited, 64, 400))
        done = finish(process)
    assert done.code == 0, done.err
    assert done.json["levels"][0]["errors"] == 0
    assert server.max_in_flight == 150


@pytest.mark.parametrize(("clients", "most"), [("1", 72), ("2", 144)])
def test_users_that_cannot_fit_are_refused_before_the_first_request(tmp_path: Path, clients: str, most: int) -> None:
    with FaultServer({"/metrics": gone}) as server:
        words = ("run", "--url", server.url, "--users", "1,500", "--clients", clients, *LEVELS, "--out", tmp_path)
        done = finish(start(*words, preexec_fn=partial(limited, 200, 200)))
    assert done.code == 2
    assert f"at most {most} users fit" in done.line()
    assert f"--clients {math.ceil(500 / 72)}" in done.line()
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


def test_what_no_file_is_left_for_is_the_clients_error_and_its_level_is_suspect(tmp_path: Path) -> None:
    """An open loop cannot be refused beforehand: nobody knows how many answers will be awaited at once."""
    with FaultServer({"good": answer(ttft_s=1.5), "/metrics": gone}) as server:
        words = ("run", "--url", server.url, "--rate", "150", "--duration", "4", *LEVELS, "--out", tmp_path)
        done = finish(start(*words, "--json", "-", preexec_fn=partial(limited, 160, 160)))
    (level,) = done.json["levels"]
    assert level["errors_by_kind"].keys() == {"client_limit"}
    assert level["client"]["verdict"] == "suspect"
    told = "requests had no connection, since this client's machine allows no more (ulimit -n, ports)"
    assert told in " ".join(done.err.split())


def test_a_server_that_is_down_is_not_stormed(tmp_path: Path) -> None:
    """1.7 million connections were tried in 60 s."""
    with FaultServer({"good": answer(), "/metrics": gone}) as server:
        words = ("run", "--url", server.url, "--rate", "500", "--duration", "4", *LEVELS, "--out", tmp_path)
        process = start(*words, "--json", "-")
        heard(process, "measuring")
        before = tried()
        server.die()
        done = finish(process)
        after = tried()
    (level,) = done.json["levels"]
    assert level["errors"] > 1000
    assert after - before < 400


def tried() -> int:
    """Connections that this machine has tried so far (Linux: ActiveOpens)."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:4] == "Tcp:"]
    return int(values[names.index("ActiveOpens")])


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_a_limit_of_this_machine_is_no_fault_of_the_server(number: int) -> None:
    assert why(OSError(number, "x"))[0] == "client_limit"


def test_a_limit_is_known_and_bounds_the_users_of_each_client() -> None:
    limit = raise_limit()
    assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    check_users([limit - RESERVED_FILES], clients=1)
    check_users([], clients=1)
    with pytest.raises(UsageError, match=f"at most {limit - RESERVED_FILES} users fit"):
        check_users([1, limit], clients=1)
    check_users([(limit - RESERVED_FILES) // 2], clients=1, replicas=2)
    with pytest.raises(UsageError, match="2 connections each, one to every replica, and this client"):
        check_users([limit - RESERVED_FILES], clients=1, replicas=2)
