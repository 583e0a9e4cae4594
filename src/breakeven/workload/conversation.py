"""Conversation: users who talk in turns, so that each prompt holds all that was said before."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from breakeven.caution import Caution
from breakeven.errors import UsageError
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Draws, mix
from breakeven.workload.filler import Filler, capped, shared_prefixes, unverified
from breakeven.workload.meter import Meter
from breakeven.workload.spread import parse_lengths, parse_spread
from breakeven.workload.text import Piece, Source

_LOOKED_AT: Final = 200
"""Conversations looked at to say how much of the input is shared."""
_PROBE_TOKENS: Final = 6


class Turn(NamedTuple):
    """Where a user's k-th request stands: in which conversation, and with which of the user's requests it began."""

    conversation: int
    first_k: int


class Conversation(Workload):
    """`input_tokens` is the length of each user text (the first with the nonce), `output_tokens` that of each answer.

    The answers in the history are text of ours with the wished length, not what the engine said, so that content
    follows the seed. `prefix_tokens` is a system message that all users share; `salt` (of the run and level) keeps
    it from being the one of an earlier level. The nonce of a conversation's first turn stays for all its turns.
    """

    name: Final = "conversation"

    def __init__(
        self,
        *,
        input_tokens: str | int = 50,
        output_tokens: str | int,
        turns: str | int = 4,
        prefix_tokens: int = 0,
        think_s: str | float | None = None,
        seed: int = 0,
        salt: int = 0,
    ) -> None:
        if prefix_tokens < 0:
            raise UsageError(f"prefix-tokens: {prefix_tokens} is no length; 0 leaves the shared prefix out")
        self._inputs = parse_lengths(input_tokens, name="input-tokens")
        self._outputs = parse_lengths(output_tokens, name="output-tokens")
        self._turns = parse_lengths(turns, name="turns")
        self._think = None if think_s is None else parse_spread(think_s, name="think-s")
        self._prefix_tokens = prefix_tokens
        self._seed = seed
        self._prefix_number = mix(mix(seed) ^ salt)
        self._draws = {name: Draws(seed, purpose=name) for name in ("turns", "input", "output", "think", "place")}
        self._first_ks: dict[int, list[int]] = {}
        self._nonces: dict[int, tuple[int, int]] = {}
        self._filler = Filler(seed=seed)
        self._turn_overhead: int | None = 0
        """Tokens that the template adds for each earlier turn; None where the server did not say."""

    def use_salt(self, salt: int) -> None:
        self._prefix_number = mix(mix(self._seed) ^ salt)
        self._nonces.clear()

    async def prepare(self, server: Server) -> Sequence[Caution]:
        meter = Meter(server)
        cautions = await self._filler.prepare(meter, check_tokens=0)
        if not cautions and meter.chat:
            cautions = await self._measure(meter)
        if cautions:
            self._turn_overhead = None
            self._filler.doubt = cautions[0].text
        return [*cautions, *shared_prefixes(self.shared_input_share())]

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        turn = self.turn(user, k)
        nonce = self._conversation_nonce(nonce, user, turn, is_first=k == turn.first_k)
        texts = self._texts(nonce, user, turn.first_k, k)
        ask = self._request(texts, output_tokens=capped(self._output_tokens(user, k), max_output_tokens))
        return Ask(
            messages=ask.messages,
            prompt=ask.prompt,
            output_tokens=ask.output_tokens,
            exact_length=True,
            input_tokens=None if self._turn_overhead is None else self.input_tokens(user, k),
            shared_tokens=self._prefix_tokens if k == turn.first_k else self.input_tokens(user, k - 1),
            name=f"turn-{k - turn.first_k + 1}",
            think_s=None if self._think is None or k == turn.first_k else self._think_s(user, k),
        )

    def turn(self, user: int, k: int) -> Turn:
        """The conversation that the k-th request of `user` belongs to."""
        first_ks = self._first_ks.setdefault(user, [0])
        while first_ks[-1] <= k:
            turns = self._turns.count_at(self._draws["turns"].unit(user, len(first_ks)))
            first_ks.append(first_ks[-1] + turns)
        conversation = bisect_right(first_ks, k) - 1
        return Turn(conversation, first_ks[conversation])

    def input_tokens(self, user: int, k: int) -> int:
        """Tokens of the whole prompt, the template's included as far as it is known."""
        first_k = self.turn(user, k).first_k
        history = sum(self._user_tokens(user, i, first_k) + self._output_tokens(user, i) for i in range(first_k, k))
        template = self._filler.overhead_tokens + (self._turn_overhead or 0) * (k - first_k)
        return self._prefix_tokens + history + self._user_tokens(user, k, first_k) + template

    def shared_input_share(self) -> float:
        """Input tokens that stood at the start of an earlier prompt (the prefix, or the prompt of the turn before).

        The last answer of the history does not count: the engine said something else.
        """
        total = shared = k = 0
        for _ in range(_LOOKED_AT):
            first_k = k
            while self.turn(0, k).first_k == first_k:
                total += self.input_tokens(0, k)
                shared += self.input_tokens(0, k - 1) if k > first_k else self._prefix_tokens
                k += 1
        return shared / total

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "input_tokens": self._inputs.text(),
            "output_tokens": self._outputs.text(),
            "turns": self._turns.text(),
            "prefix_tokens": self._prefix_tokens,
            "think_s": None if self._think is None else self._think.text(),
            "history_answers": "synthetic, of the wished length",
            "shared_input_share": round(self.shared_input_share(), 4),
            **self._filler.describe(),
            "turn_overhead_tokens": self._turn_overhead,
        }

    async def _measure(self, meter: Meter) -> list[Caution]:
        """Three probes give what the template adds for the first turn and for each further one, and check it."""
        found = [
            await meter.prompt_tokens(self._request(self._probe_texts(turns), output_tokens=1)) for turns in range(3)
        ]
        if None in found:
            return [unverified("{doubt}; prompts of a conversation promise no length", doubt=meter.trouble)]
        bare = [tokens - (2 * turns + 1) * _PROBE_TOKENS for turns, tokens in enumerate(found) if tokens is not None]
        self._filler.overhead_tokens = bare[0] - self._prefix_tokens
        self._turn_overhead = bare[1] - bare[0]
        if bare[2] - bare[1] == self._turn_overhead >= 0 <= self._filler.overhead_tokens:
            return []
        return [unverified("the template does not add the same for each turn; no length is promised")]

    def _probe_texts(self, turns: int) -> list[Piece]:
        return [self._source().take(number, count=_PROBE_TOKENS) for number in range(2 * turns + 1)]

    def _texts(self, nonce: int, user: int, first_k: int, k: int) -> list[Piece]:
        """User text, answer, user text … of a conversation up to the k-th request."""
        source = self._source()
        texts: list[Piece] = []
        for i in range(first_k, k + 1):
            place = self._draws["place"].bits(user, i)
            tokens = self._user_tokens(user, i, first_k)
            body = source.take(place, count=tokens - source.nonce_tokens * (i == first_k))
            texts.append(source.join((source.nonce(nonce), body)) if i == first_k else body)
            if i < k:
                texts.append(source.take(mix(place), count=self._output_tokens(user, i)))
        return texts

    def _request(self, texts: list[Piece], *, output_tokens: int) -> Ask:
        prefix = self._prefix()
        if not self._filler.chat:
            return Ask(prompt=self._source().join([*prefix, *texts]), output_tokens=output_tokens)
        messages = [{"role": "system", "content": str(text)} for text in prefix]
        for number, text in enumerate(texts):
            messages.append({"role": "assistant" if number % 2 else "user", "content": str(text)})
        return Ask(messages=messages, output_tokens=output_tokens)

    def _prefix(self) -> list[Piece]:
        return [self._source().head(self._prefix_number, count=self._prefix_tokens)] if self._prefix_tokens else []

    def _conversation_nonce(self, nonce: int, user: int, turn: Turn, *, is_first: bool) -> int:
        """The nonce of the conversation's first turn; that of this request where the first was not made here."""
        if is_first:
            self._nonces[user] = (turn.conversation, nonce)
        conversation, kept = self._nonces.get(user, (None, nonce))
        return kept if conversation == turn.conversation else nonce

    def _user_tokens(self, user: int, k: int, first_k: int) -> int:
        drawn = self._inputs.count_at(self._draws["input"].unit(user, k))
        return max(drawn, self._source().nonce_tokens) if k == first_k else drawn

    def _output_tokens(self, user: int, k: int) -> int:
        return self._outputs.count_at(self._draws["output"].unit(user, k))

    def _think_s(self, user: int, k: int) -> float:
        return max(0.0, self._think.at(self._draws["think"].unit(user, k))) if self._think else 0.0

    def _source(self) -> Source:
        return self._filler.source
