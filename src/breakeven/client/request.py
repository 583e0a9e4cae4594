"""How a request is put into bytes: what the workload asks, in the words of this API and this engine."""

from typing import Any, Final

import msgspec

from breakeven.workload.base import Ask

PATHS: Final = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
OPTIONAL: Final = ("stream_options",)
_encode: Final = msgspec.json.Encoder().encode


class RequestMaker:
    """Makes request bodies. `dropped` are fields that the server has shown that it refuses."""

    def __init__(self, *, api: str, model: str, exact_length_body: dict[str, object]) -> None:
        self.api = api
        self.model = model
        self.exact_length_body = exact_length_body
        self.dropped: set[str] = set()

    @property
    def path(self) -> str:
        """The API's path."""
        return PATHS[self.api]

    def fields(self, ask: Ask, *, output_tokens: int | None = None) -> dict[str, Any]:
        """The request as an object; `output_tokens` caps the answer."""
        fields: dict[str, Any] = {"model": self.model}
        if ask.messages is not None:
            fields["messages"] = ask.messages
        else:
            fields["prompt"] = ask.prompt
        fields["max_tokens"] = ask.output_tokens if output_tokens is None else output_tokens
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}
        if ask.exact_length:
            fields |= self.exact_length_body
        for name in self.dropped:
            fields.pop(name, None)
        return fields

    def encode(self, ask: Ask, *, output_tokens: int | None = None) -> bytes:
        """The request as JSON."""
        return _encode(self.fields(ask, output_tokens=output_tokens))

    def droppable(self, refusal: str) -> str | None:
        """The optional field that a refusal (400 or 422) names, if it was sent; or one to try without."""
        sent = [name for name in (*self.exact_length_body, *OPTIONAL) if name not in self.dropped]
        named = [name for name in sent if name in refusal]
        return next(iter(named), None)
