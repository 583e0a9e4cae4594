"""The headless browser of the project, which also keeps what the page said and asked for."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from breakeven.report.browser import LONGEST_WAIT_S, READY, find
from breakeven.report.browser import Browser as Driven

__all__ = ["Browser", "needs_browser"]

needs_browser = pytest.mark.skipif(
    find() is None, reason="no Chromium on PATH (chromium, google-chrome): apt-get install chromium"
)


class Browser(Driven):
    """`console` and `requests` hold what the page said and asked for since `open`."""

    def __init__(self, profile: Path) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        super().__init__(profile)
        for domain in ("Log", "Network"):
            self.call(f"{domain}.enable")

    def note(self, message: Mapping[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(" ".join(str(one.get("value", one.get("description"))) for one in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, url: str, *, ready: str = READY) -> float:
        self.console.clear()
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        return super().open(url, ready=ready)

    def wait(self, script: str) -> Any:
        """Wait until an expression is true."""
        begun = time.monotonic()
        while not (value := self.run(script)):
            if time.monotonic() - begun > LONGEST_WAIT_S:
                raise TimeoutError(script)
            time.sleep(0.05)
        return value
