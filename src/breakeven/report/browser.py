"""A headless browser of Chromium's family with one page, driven over DevTools through a pipe."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from breakeven.errors import RunFailedError, UsageError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "brave")
FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
LONGEST_WAIT_S: Final = 60.0
READY: Final = "document.documentElement?.dataset.ready === 'yes'"
GET_ONE: Final = "install one (Debian, Ubuntu: apt install chromium; macOS: brew install --cask chromium)"


def find() -> str | None:
    """Where a browser is; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def need(form: str) -> str:
    """Where a browser is; UsageError that says how to get one."""
    path = find()
    if path is None:
        known = ", ".join(NAMES[:3])
        raise UsageError(f"{form} needs a browser on PATH ({known}, …); {GET_ONE}, or save from the --html page")
    return path


@contextlib.contextmanager
def showing(page: str, form: str) -> "Iterator[Browser]":
    """A browser that shows this page; UsageError without a browser, RunFailedError where it does not open the page."""
    path = need(form)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source = Path(folder) / "report.html"
        source.write_text(page, encoding="utf-8")
        try:
            with Browser(Path(folder) / "profile", path=path) as browser:
                browser.look()
                browser.open(source.as_uri())
                yield browser
        except (TimeoutError, BrokenPipeError, RuntimeError) as error:
            kind = type(error).__name__
            raise RunFailedError(
                f"{form}: {Path(path).name} did not show the page ({kind}); save from the --html page instead"
            ) from None


class Browser:
    """One browser with one page."""

    def __init__(self, profile: Path, *, path: str | None = None) -> None:
        to_read, self._to_write = os.pipe()
        self._from_read, from_write = os.pipe()
        path = path or need("this")
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 20) for one in (to_read, from_write)]
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = os.posix_spawn(
            path,
            [path, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, high[0], 3),
                (os.POSIX_SPAWN_DUP2, high[1], 4),
            ],
        )
        for one in (to_read, from_write, *high):
            os.close(one)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        try:
            self._attach()
        except BaseException:
            self._end(patience_s=0.0)
            raise

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self._session = None
            self.call("Browser.close")
        self._end(patience_s=10.0)

    def _end(self, *, patience_s: float) -> None:
        """Wait so long for its end, then kill it."""
        end = time.monotonic() + patience_s
        while os.waitpid(self._process, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)
                break
            time.sleep(0.05)
        os.close(self._to_write)
        os.close(self._from_read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result; RuntimeError as the browser says it, TimeoutError without an answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to_write, data) :]
        for answer in self._messages():
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise TimeoutError(method)

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < end:
            while b"\0" in self._rest:
                text, self._rest = self._rest.split(b"\0", 1)
                message = json.loads(text)
                self.note(message)
                yield message
            if select.select([self._from_read], [], [], 0.2)[0]:
                data = os.read(self._from_read, 1 << 20)
                if not data:
                    return
                self._rest += data

    def note(self, message: Mapping[str, Any]) -> None:
        """What the browser says unasked; for who wants to hear it."""

    def open(self, url: str, *, ready: str = READY) -> float:
        """Load an address and wait until `ready` is true; gives the seconds that it took."""
        begun = time.monotonic()
        self.call("Page.navigate", url=url)
        while not self.run(f"!!({ready})"):
            if time.monotonic() - begun > LONGEST_WAIT_S:
                raise TimeoutError(url)
            time.sleep(0.02)
        return time.monotonic() - begun

    def run(self, script: str) -> Any:
        """Value of an expression in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """Size and colour scheme of the window."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What the window shows as a PNG; `whole`: the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
