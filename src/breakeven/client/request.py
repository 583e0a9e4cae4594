"""How a request is put into bytes: what the workload asks, in the words of this API and this engine."""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from breakeven.workload.base import Ask

PATHS: Final = {"chat": "/chat/completions", "completions": "/completions"}
"""Below the path of the API."""
OPTIONAL: Final = ("stream_options",)
LIMIT: Final = "max_tokens"
OTHER_LIMIT: Final = "max_completion_tokens"
"""The OpenAI API's newer name for it, which some models want and most servers do not know."""
_encode: Final = msgspec.json.Encoder().encode


class RequestMaker:
    """Makes request bodies. `dropped` are fields that the server has shown that it refuses."""

    def __init__(
        self,
        *,
        api: str,
        model: str,
        exact_length_body: dict[str, object],
        body: dict[str, Any] | None = None,
        shares: Sequence[tuple[str, float]] = (),
    ) -> None:
        self.api = api
        self.model = model
        """The one to ask for; of several, the first."""
        self.exact_length_body = exact_length_body
        self.body = body or {}
        """Fields that the user wants, which go before ours."""
        self.shares = tuple(shares)
        """Several models, each with its share of the requests; else empty."""
        self.limit = LIMIT
        """Name of the field that caps an answer."""
        self.dropped: set[str] = set()

    @property
    def path(self) -> str:
        """Its path below that of the API."""
        return PATHS[self.api]

    def model_of(self, draw: int) -> str | None:
        """The model of a request, by a number of 64 random bits; None where there is only one."""
        left = draw / 2**64
        for name, share in self.shares:
            left -= share
            if left < 0:
                return name
        return self.shares[-1][0] if self.shares else None

    def fields(self, ask: Ask, *, output_tokens: int | None = None, model: str | None = None) -> dict[str, Any]:
        """The request as an object; `output_tokens` caps the answer."""
        fields: dict[str, Any] = {"model": model or self.model}
        if ask.messages is not None:
            fields["messages"] = ask.messages
        else:
            fields["prompt"] = ask.prompt
        fields[self.limit] = ask.output_tokens if output_tokens is None else output_tokens
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}
        if ask.exact_length:
            fields |= self.exact_length_body
        for name in self.dropped:
            fields.pop(name, None)
        return fields | self.body

    def encode(self, ask: Ask, *, output_tokens: int | None = None, model: str | None = None) -> bytes:
        """The request as JSON."""
        return _encode(self.fields(ask, output_tokens=output_tokens, model=model))

    def yields(self, refusal: str) -> "Change | None":
        """What to ask differently after a refusal (400 or 422), done at once; None where nothing of ours is named."""
        if self.limit == LIMIT and (OTHER_LIMIT in refusal or _names(refusal, LIMIT)):
            self.limit = OTHER_LIMIT
            return Change(LIMIT, by=OTHER_LIMIT)
        named = next((name for name in self.optional() if _names(refusal, name)), None)
        if named is None:
            return None
        self.dropped.add(named)
        return Change(named)

    def take_back(self, change: "Change") -> None:
        """The refusal meant something else."""
        self.dropped.discard(change.field)
        if change.by is not None:
            self.limit = change.field

    def optional(self) -> list[str]:
        """Fields that are sent and that an answer can do without."""
        ours = (*self.exact_length_body, *OPTIONAL)
        return [name for name in ours if name not in self.dropped and name not in self.body]


class Change(NamedTuple):
    """A field that a server refuses, and the one that takes its place; None: none does."""

    field: str
    by: str | None = None


def _names(text: str, field: str) -> bool:
    """The whole word stands there."""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(field)}(?![A-Za-z0-9_])", text) is not None
