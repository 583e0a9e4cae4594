"""One cell of the calibration: a load on the reference server, read by us and by the server's own stamps."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.client.reference import ReferenceServer, Settings, Stamps
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.load.crew import LocalCrew
from breakeven.load.level import Level, LevelPlan, Progress
from breakeven.load.worker import Worker
from breakeven.metrics.definitions import arrivals_s
from breakeven.metrics.level import Window, summarise_level
from breakeven.metrics.statistics import Floats
from breakeven.metrics.summary import LevelSummary
from breakeven.record import LevelFacts, Record
from breakeven.workload.base import Ask, Workload

EVENTS_PER_ANSWER: Final = 128
TTFT_S: Final = 0.05
LATE_SERVER_S: Final = 0.001
SHORT_SERVER: Final = 0.01
WARMUP_S: Final = 1.0
TIMEOUT_S: Final = 60.0


class Cell(Struct, frozen=True, kw_only=True):
    """A load: every user gets an event each `itl_s`, of `tokens_per_event` tokens."""

    users: int
    itl_s: float = 0.010
    tokens_per_event: int = 1
    burst: int = 1
    window_s: float = 5.0

    @property
    def events_per_s(self) -> float:
        """What the schedule asks for: users x events / (TTFT + (writes - 1) x ITL)."""
        writes = EVENTS_PER_ANSWER / self.burst
        return self.users * EVENTS_PER_ANSWER / (TTFT_S + (writes - 1) * self.itl_s)


class Pair(Struct, frozen=True, kw_only=True):
    """A figure as the server's stamps have it and as we read it, in seconds; None where it was not seen."""

    true_p50_s: float | None
    read_p50_s: float | None
    true_p99_s: float | None
    read_p99_s: float | None


class Result(Struct, frozen=True, kw_only=True):
    """What came of a cell. Errors are ours against the server's stamps, never against its schedule."""

    cell: Cell
    true_tok_per_s: float
    read_tok_per_s: float
    true_events_per_s: float
    ttft: Pair
    tpot: Pair
    itl: Pair
    e2e: Pair
    delay_p50_s: float | None
    """From the server's stamp before a write to ours on the read, over all events of the window."""
    delay_p99_s: float | None
    server_late_p99_s: float | None
    """The server's lateness against its own schedule."""
    server_short: float
    """Part of the scheduled events that the server did not send."""
    client_cpu_us_per_token: float | None
    client_cpu_us_per_read: float | None
    client_cpu_share: float | None
    client_lag_p99_s: float | None
    events_per_read: float | None
    matched: int
    errors: int
    verdict: Literal["ok", "off", "server-bound"]

    @property
    def throughput_error(self) -> float:
        """(read - true) / true."""
        return self.read_tok_per_s / self.true_tok_per_s - 1 if self.true_tok_per_s else 0.0


class Nonces(Workload):
    """A workload whose prompt is its nonce, so that a record finds its request in the server's stamps."""

    name: Final = "calibration"

    def __init__(self, output_tokens: int) -> None:
        self._output_tokens = output_tokens

    async def prepare(self, server: object) -> Sequence[Caution]:
        """Nothing to prepare."""
        del server
        return ()

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        """A prompt of one word."""
        del user, k, max_output_tokens
        word = f"{nonce:016x}"
        return Ask(
            messages=[{"role": "user", "content": word}],
            output_tokens=self._output_tokens,
            exact_length=True,
            name=word,
        )

    def describe(self) -> dict[str, Any]:
        """Name alone."""
        return {"name": self.name}


async def measure(cell: Cell, *, server_cpu: int | None) -> Result:
    """Start a reference server, load it, and hold both readings against each other."""
    settings = Settings(ttft_s=TTFT_S, itl_s=cell.itl_s, tokens_per_event=cell.tokens_per_event, burst=cell.burst)
    with ReferenceServer(settings, cpu=server_cpu, connections=cell.users + 8) as server:
        target = await resolve(Access(url=server.url, timeout_s=TIMEOUT_S))
        maker = RequestMaker(api="chat", model=settings.model, exact_length_body={})
        workload = Nonces(EVENTS_PER_ANSWER * cell.tokens_per_event)
        worker = Worker(target=target, maker=maker, workload=workload)
        records: list[Record] = []
        zero_s = now_s()
        level = Level(
            _plan(cell),
            crew=LocalCrew(worker),
            zero_s=zero_s,
            stop=asyncio.Event(),
            progress=_quiet,
            check=_nothing,
            same_host=True,
        )
        facts = await level.run(records.append, _ignore)
        stamps = await asyncio.to_thread(server.stamps)
    return compare(cell, facts=facts, records=records, stamps=stamps, zero_s=zero_s)


def _plan(cell: Cell) -> LevelPlan:
    """An answer's length of warm-up at least, so that the random first answers are over."""
    ramp_s = min(5.0, 0.002 * cell.users)
    return LevelPlan(
        users=cell.users,
        ramp_s=ramp_s,
        warmup_s=ramp_s + WARMUP_S + EVENTS_PER_ANSWER * cell.itl_s,
        duration_s=cell.window_s,
        max_duration_s=cell.window_s,
        precision=0.01,
        salt=1,
    )


def _quiet(progress: Progress) -> None:
    del progress


def _nothing() -> None: ...


def _ignore(facts: LevelFacts) -> None:
    del facts


def compare(cell: Cell, *, facts: LevelFacts, records: Sequence[Record], stamps: Stamps, zero_s: float) -> Result:
    """Our reading of the window against the server's."""
    window = Window(facts, records)
    read = summarise_level(facts, records, window=window)
    open_s, close_s = window.open_s + zero_s, window.close_s + zero_s
    inside = (stamps.write_s > open_s) & (stamps.write_s <= close_s)
    events = float(inside.sum()) * cell.burst
    late_s = stamps.lateness_s()[inside]
    window_s = close_s - open_s
    pairs, delays_s, matched = _pairs(read, records, stamps, window=window, zero_s=zero_s)
    short = max(0.0, 1 - events / window_s / cell.events_per_s)
    late_p99_s = float(np.quantile(late_s, 0.99)) if len(late_s) else None
    reads = sum(client.reads for client in facts.clients)
    cpu_us = sum(client.cpu_s for client in facts.clients) * 1e6
    result = Result(
        cell=cell,
        true_tok_per_s=events * cell.tokens_per_event / window_s,
        read_tok_per_s=read.output_tok_per_s.value or 0.0,
        true_events_per_s=events / window_s,
        **pairs,
        delay_p50_s=_quantile(delays_s, 0.5),
        delay_p99_s=_quantile(delays_s, 0.99),
        server_late_p99_s=late_p99_s,
        server_short=short,
        client_cpu_us_per_token=read.client.cpu_us_per_token,
        client_cpu_us_per_read=cpu_us / reads if reads else None,
        client_cpu_share=read.client.cpu_share,
        client_lag_p99_s=read.client.lag_p99_s,
        events_per_read=events / reads if reads else None,
        matched=matched,
        errors=read.errors,
        verdict="ok",
    )
    return _judged(result)


def _judged(result: Result) -> Result:
    """Off: throughput or TPOT read more than 1 % wrong. A cell with a late server says nothing of the client."""
    tpot = result.tpot
    tpot_error = abs(tpot.read_p50_s / tpot.true_p50_s - 1) if tpot.read_p50_s is not None and tpot.true_p50_s else 0.0
    if (result.server_late_p99_s or 0.0) > LATE_SERVER_S or result.server_short > SHORT_SERVER:
        return replace(result, verdict="server-bound")
    off = abs(result.throughput_error) > 0.01 or tpot_error > 0.01 or result.errors > 0
    return replace(result, verdict="off" if off else "ok")


def _pairs(
    read: LevelSummary, records: Sequence[Record], stamps: Stamps, *, window: Window, zero_s: float
) -> tuple[dict[str, Pair], Floats, int]:
    """Each figure's true distribution over just the requests that entered ours, and every event's delay."""
    row = {str(tag): number for number, tag in enumerate(stamps.tag)}
    true: dict[str, list[float]] = {"ttft": [], "tpot": [], "e2e": []}
    gaps, delays = [], []
    matched = 0
    for record in records:
        number = row.get(record.prompt or "")
        if window.open_s <= record.due_s < window.close_s:
            true["ttft"].append(_true_ttft_s(stamps, number, close_s=window.close_s + zero_s))
        if number is None or not record.chunk_us:
            continue
        matched += 1
        writes = stamps.writes_of(number) - zero_s
        arrived = arrivals_s(record)
        per_write = max(1, round(len(arrived) / max(1, len(writes))))
        kept = np.repeat(writes, per_write)[: len(arrived)]
        inside = (kept > window.open_s) & (kept <= window.close_s)
        delays.append((arrived[: len(kept)] - kept)[inside])
        gaps.append(np.diff(kept)[inside[1:]])
        arrival_s = float(stamps.arrival_s[number]) - zero_s
        if window.open_s < record.end_s <= window.close_s and record.k and record.status == "done":
            true["e2e"].append(float(kept[-1]) - arrival_s)
            if (record.output_tokens or 0) > 1:
                true["tpot"].append(float(kept[-1] - kept[0]) / ((record.output_tokens or 0) - 1))
    seen = {name: read.of(f"{name}_s") for name in ("ttft", "tpot", "e2e", "itl")}
    values = {name: np.asarray(found) for name, found in true.items()} | {
        "itl": np.concatenate(gaps) if gaps else np.empty(0)
    }
    pairs = {
        name: Pair(
            true_p50_s=_quantile(values[name], 0.5),
            read_p50_s=seen[name].p50.value,
            true_p99_s=_quantile(values[name], 0.99),
            read_p99_s=seen[name].p99.value,
        )
        for name in seen
    }
    return pairs, np.concatenate(delays) if delays else np.empty(0), matched


def _true_ttft_s(stamps: Stamps, number: int | None, *, close_s: float) -> float:
    """Infinite for a request whose answer the server had not begun when the window closed, as in our own figures."""
    if number is None:
        return math.inf
    writes_s = stamps.writes_of(number)
    begun = len(writes_s) > 0 and writes_s[0] <= close_s
    return float(writes_s[0] - stamps.arrival_s[number]) if begun else math.inf


def _quantile(values: Floats, q: float) -> float | None:
    """None where there is nothing, or where it falls on something infinite."""
    if not len(values) or math.isinf(np.quantile(values, q, method="higher")):
        return None
    return float(np.quantile(values, q))
