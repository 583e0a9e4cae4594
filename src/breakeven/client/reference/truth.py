"""The reference server's memory: when each request came, when each write was due and when it was made."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TAG_CHARACTERS = 64

Seconds = NDArray[np.float64]
Counts = NDArray[np.int64]


class Trace:
    """One request as the server saw it. Times are `clock.now_s`, the same clock in every process of the machine."""

    __slots__ = (
        *("arrival_s", "begun_s", "gone", "input_tokens", "output_tokens", "peer_port", "streamed", "tag", "ttft_s"),
        "write_s",
    )

    def __init__(
        self,
        *,
        arrival_s: float,
        ttft_s: float,
        peer_port: int,
        tag: str,
        input_tokens: int,
        output_tokens: int,
        streamed: bool,
    ) -> None:
        self.arrival_s = arrival_s
        self.begun_s = arrival_s
        """When it had a slot."""
        self.ttft_s = ttft_s
        """From then to the first token, at full speed."""
        self.peer_port = peer_port
        self.tag = tag
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.streamed = streamed
        self.gone = False
        self.write_s = array("d")


class Stamps(NamedTuple):
    """What the server kept of all requests, in the order of their arrival, as arrays of one entry a request.

    `write_s` and `due_s` have one entry a write with text, all requests behind one another: those of request i are
    `write_s[first[i]:first[i + 1]]`. Times are seconds of `clock.now_s`: compare them with stamps of any process here.
    """

    arrival_s: Seconds
    """The request's last byte had come, by the kernel's stamp; without one, it had been read."""
    begun_s: Seconds
    """When it had a slot: its arrival, unless it had to wait for one."""
    first: Counts
    """Where each request's writes begin; one entry more than requests."""
    write_s: Seconds
    """Taken immediately before the write."""
    due_s: Seconds
    """begun + TTFT + i x ITL, at the speed of the machine."""
    input_tokens: Counts
    output_tokens: Counts
    """Length of the whole answer; one that was cut has fewer writes."""
    peer_port: Counts
    """Port of the client's end, which tells connections apart."""
    streamed: NDArray[np.bool_]
    gone: NDArray[np.bool_]
    """The client went away before the answer was complete."""
    tag: NDArray[np.str_]
    """The request's `x-request-id` header, else the first characters of its last user text."""

    def writes_of(self, request: int) -> Seconds:
        """Stamps of the writes of one request."""
        return self.write_s[self.first[request] : self.first[request + 1]]

    def lateness_s(self) -> Seconds:
        """How late each write was against its schedule."""
        return self.write_s - self.due_s


def gather(traces: list[Trace], *, due: Callable[[Trace], Seconds]) -> Stamps:
    """Traces as arrays; `due` gives the schedule of one request, at least as long as its writes."""
    counts = [len(trace.write_s) for trace in traces]
    return Stamps(
        arrival_s=np.array([trace.arrival_s for trace in traces], dtype=np.float64),
        begun_s=np.array([trace.begun_s for trace in traces], dtype=np.float64),
        first=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
        write_s=_joined([np.frombuffer(trace.write_s, dtype=np.float64) for trace in traces if trace.write_s]),
        due_s=_joined([due(trace)[:count] for trace, count in zip(traces, counts, strict=True)]),
        input_tokens=np.array([trace.input_tokens for trace in traces], dtype=np.int64),
        output_tokens=np.array([trace.output_tokens for trace in traces], dtype=np.int64),
        peer_port=np.array([trace.peer_port for trace in traces], dtype=np.int64),
        streamed=np.array([trace.streamed for trace in traces], dtype=np.bool_),
        gone=np.array([trace.gone for trace in traces], dtype=np.bool_),
        tag=np.array([trace.tag for trace in traces], dtype=np.str_),
    )


def _joined(parts: list[Seconds]) -> Seconds:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float64)


def lateness_figures(stamps: Stamps) -> dict[str, float | None]:
    """Median, 99th percentile and maximum of the lateness of all writes; None before the first write."""
    names = ("lateness_p50_s", "lateness_p99_s", "lateness_max_s")
    late_s = stamps.lateness_s()
    if not late_s.size:
        return dict.fromkeys(names)
    return dict(zip(names, (float(value) for value in np.quantile(late_s, [0.5, 0.99, 1.0])), strict=True))


def dump(stamps: Stamps, path: Path) -> None:
    """Write the stamps as an .npz file, by a temporary name, so that a reader never sees half of it."""
    temporary = path.with_name(path.name + ".part")
    fields: dict[str, Any] = stamps._asdict()
    with temporary.open("wb") as file:
        np.savez(file, **fields)
    temporary.replace(path)


def read(path: Path) -> Stamps:
    """Read what `dump` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Stamps(**{name: file[name] for name in Stamps._fields})
