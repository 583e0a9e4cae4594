"""A server for workload tests that counts tokens by rules which the test states."""

from collections.abc import Mapping

from breakeven.errors import RunFailedError
from breakeven.workload.base import Ask


class WordServer:
    """One token a word, or as many as `costs` says; a chat adds `start` tokens and `each` for every message."""

    model = "words"

    def __init__(
        self,
        api: str = "chat",
        *,
        start: int = 19,
        each: int = 11,
        costs: Mapping[str, int] | None = None,
        tokenizes: bool = True,
        takes_ids: bool = True,
        always: int | None = None,
        silent: bool = False,
        broken: bool = False,
    ) -> None:
        self.api = api
        self.probes = 0
        self.counts = 0
        self._start = start
        self._each = each
        self._costs = costs or {}
        self._tokenizes = tokenizes
        self._takes_ids = takes_ids
        self._always = always
        self._silent = silent
        self._broken = broken

    async def count_tokens(self, text: str) -> int | None:
        self.counts += 1
        return self.length(text) if self._tokenizes else None

    async def prompt_tokens(self, ask: Ask) -> int | None:
        self.probes += 1
        if self._broken or (isinstance(ask.prompt, list) and not self._takes_ids):
            raise RunFailedError("HTTP 400: no such thing")
        if self._silent:
            return None
        return self.true_tokens(ask) if self._always is None else self._always

    def true_tokens(self, ask: Ask) -> int:
        """What the prompt of `ask` comes to."""
        if ask.messages is not None:
            contents = sum(self.length(message["content"]) for message in ask.messages)
            return self._start + self._each * len(ask.messages) + contents
        assert ask.prompt is not None
        return len(ask.prompt) if isinstance(ask.prompt, list) else self.length(ask.prompt)

    def length(self, text: str) -> int:
        return sum(self._costs.get(word, 1) for word in text.split())
