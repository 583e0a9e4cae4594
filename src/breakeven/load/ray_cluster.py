"""The Ray cluster of `--clients ray:N`: one that runs already is joined, none is ever started."""

import contextlib
import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from breakeven.errors import RunFailedError, UsageError, one_line, uncoloured

_PROBE_S: Final = 3.0
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What an HTTP/2 client says first, with empty settings (RFC 9113, section 3.4): a Ray head answers with its own."""
_SETTINGS: Final = 4


class Address(NamedTuple):
    """Where a cluster's head is, and who says so."""

    host: str
    port: int
    source: str

    @property
    def text(self) -> str:
        """As Ray takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@contextlib.contextmanager
def joined(url: str | None) -> Iterator[None]:
    """Be a driver of the cluster while the block runs; UsageError where its hosts cannot all reach `url`.

    None is an engine that we start, which only this host can reach. A cluster that was joined before is not left.
    """
    ray = _ray()
    if ray.is_initialized():
        check_reach(url, hosts=_hosts(ray))
        yield
        return
    with _clean_stdout():
        _join(ray)
        try:
            check_reach(url, hosts=_hosts(ray))
            yield
        finally:
            ray.shutdown()


def _hosts(ray: Any) -> set[str]:
    return {str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}


def check_reach(url: str | None, *, hosts: Collection[str]) -> None:
    """UsageError where a cluster of several hosts is to ask a server on the loopback address of one of them."""
    if len(hosts) < 2 or (url is not None and not _is_loopback(urlsplit(url).hostname or "")):
        return
    what = "an engine that is started here" if url is None else f"--url {url}"
    some = ", ".join(sorted(hosts)[:3]) + (", …" if len(hosts) > 3 else "")
    raise UsageError(
        f"--clients ray:N: {what} can be reached from this host only, and the cluster has {len(hosts)} ({some}); give "
        "--url an address that all of them reach"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _join(ray: Any) -> None:
    """Attach to the running cluster; RunFailedError, within seconds, where there is none."""
    address = parse_address(os.environ.get("RAY_ADDRESS", "")) or _of_this_machine()
    probe(address)
    try:
        ray.init(address=address.text, log_to_driver=False, logging_level="ERROR")
    except Exception as problem:  # noqa: BLE001  (Ray raises what it likes, plain Exception too)
        why = one_line(uncoloured(f"{type(problem).__name__}: {problem}"), limit=200)
        hint = "; where it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        raise RunFailedError(
            f"the Ray cluster at {address.text} ({address.source}) cannot be joined: {why}{hint}"
        ) from None


def head_of(ray: Any) -> Address:
    """The head of the cluster that was joined."""
    host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
    return Address(host.strip("[]"), int(port), "the cluster of this run")


def parse_address(text: str) -> Address | None:
    """What RAY_ADDRESS says; None where Ray is to look on this machine, UsageError where it cannot be meant."""
    if text in ("", "auto"):
        return None
    host, _, port = text.rpartition(":")
    if "://" in text or not (host and port.isascii() and port.isdigit()):
        raise UsageError(
            f"RAY_ADDRESS={one_line(text)}: give the HOST:PORT of a running cluster's head (port 6379 unless it was "
            "told another); ray:// and local cannot be used here"
        )
    return Address(host.strip("[]"), int(port), "RAY_ADDRESS")


def _of_this_machine() -> Address:
    """The cluster that was started last on this machine, whose address Ray keeps in a file (the docs of `ray.init`)."""
    kept = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    said = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        said = kept.read_text(encoding="ascii").strip()
    host, _, port = said.rpartition(":")
    if not (host and port.isdigit()):
        raise RunFailedError(
            "--clients ray:N: no Ray cluster runs on this machine; start one with `ray start --head`, or name the head "
            "of one in RAY_ADDRESS=HOST:PORT"
        )
    return Address(host.strip("[]"), int(port), "started last on this machine")


def probe(address: Address) -> None:
    """RunFailedError unless a Ray head answers: Ray itself would wait for minutes, deaf to Ctrl-C."""
    try:
        with socket.create_connection((address.host, address.port), timeout=_PROBE_S) as head:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            head.settimeout(_PROBE_S)
            head.sendall(_PREFACE)
            first = head.recv(9)
    except OSError as error:
        raise RunFailedError(_no_head(address, one_line(error.strerror or str(error)).lower())) from None
    if len(first) < 4 or first[3] != _SETTINGS:
        raise RunFailedError(_no_head(address, "what answers there is not Ray"))


def _no_head(address: Address, why: str) -> str:
    return (
        f"no Ray head answers at {address.text} ({address.source}): {why}; start one there with `ray start --head`, or "
        "set RAY_ADDRESS=HOST:PORT to another"
    )


def _ray() -> Any:
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # read at the import
    try:
        import ray
    except ImportError:
        raise UsageError("--clients ray:N needs Ray: pip install 'breakeven[ray]'") from None
    return ray


@contextlib.contextmanager
def _clean_stdout() -> Iterator[None]:
    """Results go to stdout, and Ray prints there what happens to its workers: let it go to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
