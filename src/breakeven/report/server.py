"""A local page over a folder of runs: list, compare, watch. It only reads, and listens to this machine alone."""

import ipaddress
import json
import sys
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from breakeven.errors import BreakevenError, one_line
from breakeven.report.html import LIBRARIES, content_policy, library, page_file, policy
from breakeven.report.markup import Html, el, joined

INDEX_SCRIPTS: Final = ("kit.js", "charts.js", "index.js")
MOST_CONNECTIONS: Final = 128
SLOWEST_S: Final = 10.0
"""A connection that says nothing for so long is closed."""
MOST_RUNS: Final = 12
"""Runs in one comparison."""
MOST_OVER_TIME: Final = 400
"""Runs in one history."""


class Source(NamedTuple):
    """Where the pages come from. Each function may raise a BreakevenError, which is shown as text."""

    runs: Callable[[], list[dict[str, Any]]]
    studies: Callable[[], list[dict[str, Any]]]
    report: Callable[[Sequence[str]], str]
    """The page of some runs, by id."""
    history: Callable[[Sequence[str]], str]
    """Some runs of one cell over time, by id."""
    live: Callable[[str], dict[str, Any]]
    note: str = ""
    """What is to be known before several runs are picked."""


def make_server(source: Source, *, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound and not yet running; port 0 takes a free one."""

    class Handler(_Handler):
        of = source
        hosts = allowed_hosts(host)

    return _Server((host, port), Handler)


class _Server(ThreadingHTTPServer):
    """A thread a connection, and no more of them than a page needs."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; one connection too many is closed."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error; anything else is one, and one line."""
        del request, client_address
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"breakeven: {type(error).__name__}: {one_line(str(error))}", file=sys.stderr)


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Names that a browser may call us by, against DNS rebinding; None: any address, as for 0.0.0.0."""
    if host in ("0.0.0.0", "::"):
        return None
    return frozenset({"127.0.0.1", "localhost", "::1", host.lower()})


class _Handler(BaseHTTPRequestHandler):
    of: Source
    hosts: frozenset[str] | None
    server_version = "breakeven"
    timeout = SLOWEST_S
    sys_version = ""

    def do_GET(self) -> None:
        """Answer, or say in one line why not."""
        if not self._is_ours():
            self._send(403, "text/plain; charset=utf-8", "this name is not served here\n")
            return
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query).get("run", [])
        try:
            self._answer(parts.path, asked)
        except BreakevenError as error:
            self._send(404, "text/plain; charset=utf-8", f"{error}\n")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, path: str, asked: list[str]) -> None:
        if path == "/":
            self._send(200, "text/html; charset=utf-8", index_page(self.of.note), policy=index_policy())
        elif path == "/api/runs":
            self._json({"runs": self.of.runs(), "studies": self.of.studies()})
        elif path == "/api/live" and len(asked) == 1:
            self._json(self.of.live(asked[0]))
        elif path == "/report" and 1 <= len(asked) <= MOST_RUNS:
            self._send(200, "text/html; charset=utf-8", self.of.report(asked), policy=policy())
        elif path == "/history" and 2 <= len(asked) <= MOST_OVER_TIME:
            self._send(200, "text/html; charset=utf-8", self.of.history(asked), policy=policy())
        else:
            self._send(404, "text/plain; charset=utf-8", "there is nothing here\n")

    def _is_ours(self) -> bool:
        name = self.headers.get("Host", "")
        name = (name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]).lower()
        return _is_address(name) or name == "localhost" if self.hosts is None else name in self.hosts

    def _json(self, value: Any) -> None:
        self._send(200, "application/json", json.dumps(value))

    def _send(self, status: int, kind: str, text: str, *, policy: str = "default-src 'none'") -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing: a terminal is no place for what a browser sends."""
        del format, args


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def index_policy() -> str:
    """Only our own script and style, and requests to this server."""
    scripts = [library(name) for name in LIBRARIES] + [Html(page_file(name)) for name in INDEX_SCRIPTS]
    return content_policy(scripts, styles=[_style()], connect="'self'")


def _style() -> str:
    return page_file("page.css") + page_file("index.css")


HEADS: Final = ("", "Run", "Status", "Time", "Machine · engine", "Model", "Workload", "Load", "Errors", "Best tok/s")
STATES: Final = ("all", "running", "done", "with problems")


def index_page(note: str = "") -> str:
    """The list; its script fills it. A note stands above it."""
    numbers = ("Errors", "Best tok/s")
    heads = (
        el("th" if text else "td", text, scope="col" if text else None, class_="n" if text in numbers else None)
        for text in HEADS
    )
    filters = el(
        "input", type="search", id="filter", placeholder="Filter: GPU, model, study …", aria_label="Filter runs"
    )
    states = el("select", *(el("option", one) for one in STATES), id="state", aria_label="Which runs")
    compare = el("button", "Pick two to compare", type="button", id="compare", class_="main", disabled=True)
    over_time = el("button", "Over time", type="button", id="over-time", disabled=True)
    count = el("span", id="count", class_="status", role="status")
    body = el(
        "body",
        el("nav", el("div", el("strong", "breakeven"), class_="wrap"), aria_label="breakeven"),
        el(
            "main",
            el(
                "header",
                el("h1", "Runs"),
                el(
                    "p",
                    "Pick two or more to compare; the first is the reference. Runs of one cell can be seen over time. "
                    "The list follows what is measured.",
                    class_="sure",
                ),
                el("p", note, class_="sure") if note else None,
            ),
            el("div", id="live"),
            el("div", filters, states, compare, over_time, count, class_="bar"),
            el("p", id="error", role="alert"),
            el("ul", id="studies"),
            el("table", el("thead", el("tr", *heads)), el("tbody"), id="runs", class_="stack"),
            el("p", id="reading", class_="unseen", role="status"),
            class_="wrap",
        ),
        *(el("script", library(name)) for name in LIBRARIES),
        *(el("script", Html(page_file(name))) for name in INDEX_SCRIPTS),
    )
    top = joined(
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", "breakeven: runs"),
        el("style", Html(_style())),
    )
    return f'<!doctype html>\n<html lang="en"><head>{top}</head>{body}</html>\n'
