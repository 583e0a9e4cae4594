"""What is kept of a run: one Record a request, raw observations and nothing derived; one LevelFacts a level."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from breakeven.caution import Caution

Status = Literal["done", "cut", "error"]
Stopped = Literal["precision", "max", "duration", "requests", "slo", "interrupted", "failed"]
WarmUpBy = Literal["asked", "ramp", "least", "answers", "longest", "filling", "first_tokens"]
"""What made the least warm-up: `--warmup`, the ramp, a second, three turns of the users, or the most that is waited for
these; or what was waited for after it: an open loop's early requests, a user's first token."""


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. Times are seconds since the run began, on one monotonic clock."""

    user: int
    k: int
    """The user's k-th request of this level; 0 is its first answer, which is warm-up."""
    due_s: float
    """When the plan wanted the request sent: the closed loop's answer before it, or the open loop's schedule."""
    sent_s: float | None = None
    """When its bytes were handed to the socket; None if it never got that far."""
    connect_s: float | None = None
    """Time for connection and TLS, inside TTFT; None when a kept connection was used."""
    chunk_us: bytes = b""
    """Arrival of every chunk that carried output text: packed unsigned 32-bit microsecond steps, the first from
    `sent_s`."""
    chunk_tokens: bytes = b""
    """Tokens of every chunk, packed unsigned 32-bit, where the server put usage into every chunk; else empty."""
    reasoning_chunks: int = 0
    """Chunks of reasoning before the answer's first: that one is the next, where there is one."""
    end_s: float
    """When the answer was complete, failed, timed out or was cut."""
    status: Status
    error: str | None = None
    """Kind of error, a row of ERROR_KINDS; None when there was none."""
    error_text: str | None = None
    finish_reason: str | None = None
    http_status: int | None = None
    input_tokens: int | None = None
    """As the server counted them; None when the server did not say."""
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Of `output_tokens`, those of reasoning, shown or hidden, where the server tells them apart."""
    without_done: bool = False
    """The stream ended without `[DONE]`; its finish_reason or its usage was taken for the end."""
    asked_input_tokens: int | None = None
    """What the workload wanted the prompt to be; None when it promised nothing."""
    asked_shared_tokens: int | None = None
    """Of the prompt, those that stood at the start of an earlier one, as the workload wanted; None: it does not say."""
    asked_output_tokens: int | None = None
    """The length that the answer was to have exactly; None where it was free to end, as first answers are."""
    reconnected: bool = False
    """Sent once more on a fresh connection because a kept one turned out to be closed."""
    prompt: str | None = None
    """Name of the prompt within its workload, for a look at which prompts were slow."""
    model: str | None = None
    """The model that was asked for, where there are several."""
    measured: bool = False
    """One of the N that count in a level bounded by `--requests N`."""
    client: int = 0
    """Number of the client process that sent it."""
    replica: int | None = None
    """Which of several engines it went to, from 1; None: there was one address."""


class ClientFacts(Struct, frozen=True, kw_only=True):
    """How the instrument itself did while the window was open."""

    cpu_s: float
    window_s: float
    """Time that `cpu_s` was counted over."""
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float
    reads: int
    """Times the client's sockets were read inside the window."""
    own_stamps: int | None = None
    """Of these, reads that have the client's stamp, since the kernel gave none; None: not counted."""
    client: int = 0
    schedule_lag_p50_s: float | None = None
    """Open loop: from when a request was due until the client turned to it."""
    schedule_lag_p99_s: float | None = None
    node: str | None = None
    """The node of a cluster that the client ran on; None: this machine, whose clock needs no alignment."""
    clock_offset_s: float | None = None
    """That node's monotonic clock minus ours, before the level."""
    clock_doubt_s: float | None = None
    """Half of the round trip that `clock_offset_s` was measured by."""
    clock_drift_s: float | None = None
    """How much the offset had grown when the level was cut."""


class LevelFacts(Struct, frozen=True, kw_only=True):
    """What the load knows of a level and the records do not say. Times are seconds since the run began."""

    users: int | None
    req_per_s_offered: float | None = None
    arrivals: str | None = None
    repeat: int = 0
    start_s: float
    open_s: float | None = None
    """Start of the steady window; None if the level never got that far."""
    warm_up_by: WarmUpBy | None = None
    """What the window waited for; None where a trace has no warm-up."""
    close_s: float | None = None
    """End of the steady window."""
    end_s: float | None = None
    """When everything in flight was cut or had ended."""
    settle_s: float | None = None
    """From `end_s` until the engine was idle again; None where it was not waited for."""
    settled: bool = True
    """False when the engine was still busy after the longest wait."""
    status: Literal["done", "interrupted", "failed"] = "done"
    stopped: Stopped | None = None
    measured_requests: int | None = None
    """With `--requests N`: N, the requests whose start lies in the window; of a trace that ran to its end, all."""
    think_s: float = 0.0
    own_pauses: bool = False
    """The workload said how long users think, so that what they did tells it."""
    session_turns: tuple[int, ...] = ()
    """Of recorded sessions, the turns of each: `user` of a record is the number of the session played, which goes on
    counting where the file is played again, `k` its turn from 1, and `users` are the sessions in flight."""
    clients: tuple[ClientFacts, ...] = ()
    same_host: bool = False
    """The engine runs on the client's machine, so that it can be the cause of the client's lag."""
    request_ids: str | None = None
    """What the id of every request begins with (`request_id`); None: they had none of ours."""
    notes: tuple[Caution, ...] = ()
    """Cautions that only the load could see."""
    extra: dict[str, float | None] = field(default_factory=dict)
    """Further facts by name, with their unit in the name."""

    @property
    def is_whole(self) -> bool:
        """No client was lost, and no record: it is what was asked for."""
        return not self.clients_lost and not any(note.id == "log_damaged" for note in self.notes)

    @property
    def plays_once(self) -> bool:
        """Every recorded session was played to its end, so that fewer and fewer were in flight at the last."""
        return bool(self.session_turns) and self.measured_requests is not None

    @property
    def clients_lost(self) -> int:
        """Clients that ended in mid-level, as the notes say."""
        return sum(note.id == "client_died" for note in self.notes)


def request_id(facts: LevelFacts, record: Record) -> str | None:
    """The `X-Request-Id` of a request, by which an engine's traces know it; None where it had none of ours."""
    if facts.request_ids is None or record.sent_s is None:
        return None
    return id_text(facts.request_ids, user=record.user, k=record.k) + (AGAIN if record.reconnected else "")


def id_text(request_ids: str, *, user: int, k: int) -> str:
    """Of the k-th request of a user; one that is sent once more has AGAIN behind it."""
    return f"{request_ids}-{user}-{k}"


AGAIN: Final = "-again"


def facts_of(stored: Any) -> LevelFacts:
    """Facts as they are stored, of which the first notes were lines: `id: text | remedy`."""
    if isinstance(stored, dict) and any(isinstance(note, str) for note in stored.get("notes", ())):
        stored = stored | {"notes": [_note(note) for note in stored["notes"]]}
    return msgspec.convert(stored, LevelFacts)


def _note(line: str) -> Caution:
    name, _, text = line.partition(": ")
    seen, _, advice = text.partition(" | ")
    return Caution(id=name, seen=seen, advice=advice)
