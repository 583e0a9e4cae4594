"""What an engine adapter says: only where the engine differs from the plain OpenAI API."""

from typing import ClassVar


class OpenAI:
    """Any server that speaks the OpenAI API; every other adapter changes what is different."""

    name: ClassVar[str] = "openai"
    health_path: ClassVar[str | None] = None
    """Answers 200 when the engine can serve; None: `/v1/models` is asked."""
    running_metrics: ClassVar[tuple[str, ...]] = ()
    """Names in `/metrics` whose sum is the number of requests at work or waiting."""
    tokenize_field: ClassVar[str | None] = None
    """Field of the `/tokenize` request that takes the text; None: there is no such endpoint."""
    exact_length_body: ClassVar[dict[str, object]] = {}
    """Fields added to a request whose answer shall have exactly `max_tokens` tokens."""
