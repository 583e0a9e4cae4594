"""A job of the grid as its operator knows it: where it went, what it cost, what became of it."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from breakeven.fleet.result import NodeResult

Outcome = Literal["waiting", "running", "done", "no_node", "image_failed", "failed", "timed_out", "lost", "refused"]
OUTCOMES: Final[dict[Outcome, str]] = {
    "waiting": "submitted, no node has taken it yet",
    "running": "a node works on it",
    "done": "its result is here",
    "no_node": "no node took it",
    "image_failed": "the node could not get or start an image",
    "failed": "it ended without a result",
    "timed_out": "its time limit came first",
    "lost": "the place it ran at knows it no more",
    "refused": "its result is no result of this job: unreadable, unsigned or of another one",
}
OVER: Final = frozenset(OUTCOMES) - {"waiting", "running"}


class Job(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One job: what was asked for, and what came back. Nothing in it but `result` is the node's own word."""

    id: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """The operator's name of it: made before it is submitted, so that a second submit does not pay twice."""
    template: str
    seed: str
    """Of its proof of work; told to the node with the job."""
    gpu: str | None = None
    """The card that was asked for, or that the node claims: a key of the table of GPUs where it is known."""
    market: str | None = None
    node: str | None = None
    usd_per_h: float | None = None
    """What the operator pays, for the whole node."""
    place: str = ""
    """Where it runs: `local`, `nosana`, `skypilot`, `kubernetes`."""
    remote: str | None = None
    """That place's own name of it."""
    tries: int = 0
    submitted: str | None = None
    """ISO 8601 with zone, by the operator's clock."""
    ended: str | None = None
    outcome: Outcome = "waiting"
    reason: str | None = None
    result: NodeResult | None = None
