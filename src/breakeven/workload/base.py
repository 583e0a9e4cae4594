"""What a workload is: it says what the next request asks, and prepares itself on the server that will be asked."""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from breakeven.caution import Caution


class Ask(Struct, frozen=True, kw_only=True, gc=False):
    """What one request asks. Either `messages` (chat) or `prompt` (completions) is set."""

    messages: list[dict[str, str]] | None = None
    prompt: str | list[int] | None = None
    output_tokens: int
    """Sent as `max_tokens`."""
    exact_length: bool = False
    """The answer shall have exactly `output_tokens`: the engine is told to ignore its end-of-text token."""
    input_tokens: int | None = None
    """Length of the prompt that the workload promises, chat template included; None where it promises none."""
    shared_tokens: int | None = None
    """Of the prompt, those that stand at the start of an earlier one; None where the workload does not say."""
    name: str | None = None
    think_s: float | None = None
    """Pause of the user before this request; None: the plan's."""


class Server(Protocol):
    """What a workload may ask of the server while it prepares. Nothing of it is measured."""

    @property
    def api(self) -> str:
        """`chat` or `completions`."""
        ...

    @property
    def model(self) -> str:
        """Name that requests ask for."""
        ...

    async def count_tokens(self, text: str) -> int | None:
        """Tokens of `text` without template and special tokens, by the server's /tokenize; None where it has none."""
        ...

    async def prompt_tokens(self, ask: Ask) -> int | None:
        """Send `ask` with one token of output; the prompt's length by the server's usage, None where it says none."""
        ...


class Workload(Protocol):
    """What users ask. `make` is called on the measuring path: it takes microseconds and never waits."""

    @property
    def name(self) -> str:
        """Its key in WORKLOADS."""
        ...

    async def prepare(self, server: Server) -> Sequence[Caution]:
        """Get ready for this server; returns cautions where a promise cannot be kept."""
        ...

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        """The k-th request of `user`, the same for the same seed but for its nonce.

        `nonce` is a 64-bit number from (run salt, level, repeat, user, k); its text stands at the start of the user
        text, so that no prefix cache can answer. `max_output_tokens` caps the answer (first answers of a level).
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Name and settings, as stored with the run."""
        ...

    def arrivals_s(self) -> Sequence[float] | None:
        """When what was recorded is due, requests or sessions, in seconds from the first, never falling.

        None for what is no recording, and where the file does not say.
        """
        return None

    def turn_counts(self) -> tuple[int, ...]:
        """How many turns each recorded session has, in the order in which they are played; () where there are none."""
        return ()

    def end_after(self, duration_s: float) -> None:
        """A replay ends so early: what is shared beyond that does not count."""
        del duration_s

    def use_salt(self, salt: int) -> None:
        """Text that requests share on purpose is from here on that of `salt`, a 64-bit number of run and level."""
        del salt
