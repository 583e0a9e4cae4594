"""What the servers of grids have in common: JSON over HTTP, faults that a test orders, and nodes that do the job.

A fault is a method, the end of a path and what happens then, once: a status, `lost` (it is done and the answer does not
come), `never` (the connection ends and nothing is done) or `silent` (nothing is said until the test is over).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

NODE = (sys.executable, str(Path(__file__).with_name("a_node.py")))


class Fault(NamedTuple):
    method: str
    path: str
    """A regular expression that the whole path, without its query, must match."""
    does: int | str
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    code: int
    body: Any
    headers: Mapping[str, str] = {}


class Ran(NamedTuple):
    """What a node's benchmark left."""

    code: int
    out: str
    err: str


class Grid(ABC):
    """Answers requests one at a time; what a grid does is written in its `answer`."""

    keeps = True
    """What is over stays there until it is stopped."""

    def __init__(self, starts: Path) -> None:
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.starts = starts
        self.does: dict[str, Any] = {}
        self.lock = threading.RLock()
        self.url = ""
        self.over = threading.Event()

    @abstractmethod
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        """What the grid does when it is asked, and what it says."""

    def fault(self, method: str, path: str, *does: int | str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults += [Fault(method, path, one, named) for one in does]

    def run_container(self, words: Sequence[str], **more: str) -> Ran:
        """Does as a node: `breakeven node` is a_node.py; a shell is run as it is, in a folder of its own."""
        env = {**os.environ, "NODE_STARTS": str(self.starts), "NODE_DOES": json.dumps(self.does), **more}
        told = [*NODE, *words[2:]] if words[:2] == ["breakeven", "node"] else words
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(told, env=env, cwd=folder, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def _due(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and re.fullmatch(fault.path, path):
                self.faults.remove(fault)
                return fault
        return None

    def handled(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer | None:
        """None: the connection ends without an answer."""
        path, _, rest = target.partition("?")
        query = dict(pair.partition("=")[::2] for pair in rest.split("&") if pair)
        with self.lock:
            self.asked.append((method, path))
            self.headers.append(headers)
            fault = self._due(method, path)
            if fault is not None and isinstance(fault.does, int):
                return Answer(fault.does, {"error": "as the test said", "message": "as the test said"}, fault.headers)
            answer: Answer | None = None
            if fault is None or fault.does == "lost":
                answer = self.answer(method, path, query, json.loads(raw) if raw else None)
        if fault is not None and fault.does == "silent":
            self.over.wait()
        return None if fault is not None else answer


@contextmanager
def serving(grid: Grid) -> Iterator[None]:
    """The grid on a port of its own, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = grid.handled(self.command, self.path, dict(self.headers), raw)
            self.close_connection = True
            if answer is None:
                return
            text = isinstance(answer.body, str)
            body = answer.body.encode() if text else json.dumps(answer.body).encode()
            try:
                self.send_response(answer.code)
                headers = {"Content-Type": "text/plain" if text else "application/json", **answer.headers}
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # who asked was killed

        do_GET = do_POST = do_DELETE = do_PATCH = _do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def log_error(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # who asked was killed

    with Server(("127.0.0.1", 0), Handler) as server:
        grid.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        grid.over.set()
        server.shutdown()
        thread.join()


def until(condition: Any, *, within_s: float = 30.0) -> None:
    """Waits for it to come true."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.02)
