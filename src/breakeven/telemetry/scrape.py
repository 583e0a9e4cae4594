"""The engine's own figures: its Prometheus text, asked once a second."""

import http.client
import math
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final
from urllib.parse import urlsplit

from breakeven.clock import now_s
from breakeven.engine import ENGINES
from breakeven.engine.base import ROLES, OpenAI
from breakeven.engine.detect import adapter
from breakeven.engine.idle import metric_sum, samples
from breakeven.telemetry.source import Row

TIMEOUT_S: Final = 10.0
"""llama.cpp answers only between two batches, and a batch of long prompts takes seconds."""
MOST_BYTES: Final = 8_000_000
FAULTS: Final = (OSError, http.client.HTTPException, ValueError)
"""Why there may be no page."""


def metric_names(engine: type[OpenAI] | OpenAI) -> dict[str, list[str]]:
    """What this engine calls each of our ROLES; a plain OpenAI server may turn out to use any engine's names."""
    rows = [engine] if engine.metrics_path is not None else [adapter(name) for name in ENGINES]
    return {role: list(dict.fromkeys(row.metrics[role] for row in rows if role in row.metrics)) for role in ROLES}


class Page:
    """A page of Prometheus text at an address, asked straight, past any proxy, which knows nothing of it."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] = MappingProxyType({}), unix_path: str | None = None
    ) -> None:
        self._parts = urlsplit(url)
        self.path = self._parts.path or "/"
        self._headers = {**headers, "Connection": "close"}
        self._unix_path = unix_path
        is_tls = self._parts.scheme == "https"
        self._tls = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE")) if is_tls else None

    def read(self) -> tuple[float, float, str]:
        """When it was asked, how long that took, and the text; FAULTS where there is none."""
        asked_s = now_s()
        text = self._get()
        return asked_s, now_s() - asked_s, text

    def _get(self) -> str:
        connection = self._connection()
        try:
            query = f"?{self._parts.query}" if self._parts.query else ""
            connection.request("GET", self.path + query, headers=self._headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise ValueError(f"it answers {answer.status}")
            return answer.read(MOST_BYTES).decode("utf-8", "replace")
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._tls)
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        if self._unix_path is not None:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(TIMEOUT_S)
            connection.sock.connect(self._unix_path)
        return connection


class Engine:
    """A stamp is the middle between question and answer, `scrape_s` the time between.

    One device without a name; of several engines side by side it is all of them together, asked at the same time and
    told only where each of them answered, and each has a row of its own, by its number from 1.
    """

    every_s: ClassVar[float] = 1.0
    may_wait: ClassVar[bool] = True

    def __init__(
        self,
        *,
        urls: Sequence[str],
        names: Mapping[str, Sequence[str]],
        headers: Mapping[str, str] = MappingProxyType({}),
        unix_path: str | None = None,
    ) -> None:
        self._pages = [Page(url, headers=headers, unix_path=unix_path) for url in urls]
        self._names = names
        self.missing: dict[str, str] = {}

    def rows(self) -> Iterator[Row]:
        """A row of each engine that answered, and where there are several of all together."""
        each = self._each()
        told = [row for row in each if row is not None]
        if len(told) == len(each):
            yield _together(told)
        if len(each) > 1:
            yield from (Row(row.at_s, str(number), row.values) for number, row in enumerate(each, 1) if row is not None)

    def _each(self) -> list[Row | None]:
        """All engines, asked at the same time: one that is busy answers late."""
        found: list[Row | None] = [None] * len(self._pages)

        def ask(place: int) -> None:
            found[place] = self._row(self._pages[place])

        # no pool: at the end of the program it would wait for an engine that hangs
        others = [threading.Thread(target=ask, args=(place,), daemon=True) for place in range(1, len(found))]
        for one in others:
            one.start()
        ask(0)
        for one in others:
            one.join()
        return found

    def _row(self, page: Page) -> Row | None:
        """What one engine says; None where it did not answer."""
        try:
            asked_s, took_s, text = page.read()
        except FAULTS as error:
            self.missing["metrics"] = f"{page.path}: {error or type(error).__name__}"
            return None
        values = figures(text, names=self._names)
        self.missing |= {role: "the engine does not tell it" for role in self._names if role not in values}
        return Row(asked_s + took_s / 2, None, {**values, "scrape_s": took_s})


def _together(rows: Sequence[Row]) -> Row:
    """All engines as one: sums, of shares and means the largest; a figure that one lacks is not there."""
    first_s = min(row.at_s - row.values["scrape_s"] / 2 for row in rows)
    last_s = max(row.at_s + row.values["scrape_s"] / 2 for row in rows)
    shared = [name for name in rows[0].values if all(name in row.values for row in rows)]
    values = {name: (max if _is_mean(name) else sum)(row.values[name] for row in rows) for name in shared}
    # stamps are rounded to a tenth of a microsecond: not below what one of them took
    took_s = max(last_s - first_s, *(row.values["scrape_s"] for row in rows))
    return Row((first_s + last_s) / 2, None, values | {"scrape_s": took_s})


def _is_mean(role: str) -> bool:
    return role.endswith(("_share", "_length"))


def figures(metrics_text: str, *, names: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Each role under the first of its names that is there: the sum over engines; of shares and means the largest."""
    every = tuple({name for those in names.values() for name in those})
    # an engine's text has thousands of lines, and taking each apart would cost more than all other sources together
    short = "\n".join(line for line in metrics_text.splitlines() if line.startswith(every))
    found: dict[str, float] = {}
    for role, those in names.items():
        for name in those:
            value = _largest(short, name) if _is_mean(role) else metric_sum(short, name)
            if value is not None:
                found[role] = value
                break
    return found


def _largest(metrics_text: str, name: str) -> float | None:
    values = [value for found, value in samples(metrics_text) if found == name and math.isfinite(value)]
    return max(values, default=None)
