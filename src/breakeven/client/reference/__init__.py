"""The reference server: a server whose true timings are known, to hold the client against."""

import http.client
import os
import select
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from breakeven.client.reference.answers import Settings
from breakeven.client.reference.truth import Stamps, read
from breakeven.errors import RunFailedError, one_line

__all__ = ["ReferenceServer", "Settings", "Stamps"]

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
ANSWER: Final = ("tokens_per_event", "burst", "output_tokens", "usage_in", "body", "model")
SCRIPT: Final = ("ttft_sigma", "slots", "noise", "wave", "seed")
"""Settings whose options have their names."""


class ReferenceServer:
    """A reference server in a process of its own, from `with` until its end; it also ends when this process does.

    `cpu` keeps it on one core. `connections` makes the start fail (RunFailedError) where the limit of open files is
    too low for so many.
    """

    def __init__(
        self, settings: Settings | None = None, *, cpu: int | None = None, connections: int | None = None
    ) -> None:
        self.settings = settings or Settings()
        self._folder = tempfile.TemporaryDirectory(prefix="breakeven-reference-")
        self._file = Path(self._folder.name) / "stamps.npz"
        self._argv = _argv(self.settings, stamps=self._file, cpu=cpu, connections=connections)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        """Base URL, such as `http://127.0.0.1:40123`."""
        self.pid = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            ready = msgspec.json.decode(self._first_line())
        except BaseException:
            self.close()
            raise
        self.url, self.pid = ready["url"], ready["pid"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else b""
        if line:
            return line
        raise RunFailedError(f"the reference server did not start: {self._last_words()}")

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        if self._process.poll() is None and not select.select([self._process.stderr], [], [], 1.0)[0]:
            return f"no word from it in {START_TIMEOUT_S:.0f} s"
        return one_line(os.read(self._process.stderr.fileno(), 1 << 16).decode(errors="replace"))

    def truth(self) -> dict[str, Any]:
        """What the server says of itself: counts, its own lateness and CPU seconds, its settings."""
        answer: dict[str, Any] = msgspec.json.decode(self._ask("GET", "/truth"))
        return answer

    def stamps(self) -> Stamps:
        """Every stamp the server has kept until now."""
        self._ask("POST", "/truth/dump")
        return read(self._file)

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            raise RunFailedError(f"the reference server does not answer: {error}; {self._last_words()}") from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RunFailedError(f"the reference server answers {answer.status} to {path}: {one_line(body.decode())}")
        return body

    def close(self) -> None:
        """End the process and delete its files; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        self._folder.cleanup()


def _argv(settings: Settings, *, stamps: Path, cpu: int | None, connections: int | None) -> list[str]:
    argv = [sys.executable, "-m", "breakeven.client.reference", "--end-with-stdin", "--stamps", str(stamps)]
    argv += ["--ttft", repr(settings.ttft_s), "--itl", repr(settings.itl_s)]
    argv += ["--tau", repr(settings.tau_s), f"--lengths={settings.lengths}"]
    for name in (*ANSWER, *SCRIPT):
        argv += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    argv += ["--close"] if settings.close else []
    argv += [] if settings.metrics else ["--no-metrics"]
    argv += [] if cpu is None else ["--cpu", str(cpu)]
    argv += [] if connections is None else ["--connections", str(connections)]
    return argv
