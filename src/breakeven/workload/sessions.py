"""Sessions: recorded agents whose turns wait for each other, with text of our own and prefixes shared as recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.errors import LONGEST_NAME, UsageError, one_line
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Draws, mix
from breakeven.workload.filler import Filler, capped, check_replay, left_out, shared_prefixes
from breakeven.workload.sessionfile import Session, Turn, read_sessions
from breakeven.workload.sessionforms import SESSION_FORMS
from breakeven.workload.text import Piece

_MOST_TURNS: Final = 1 << 20


class Sessions(Workload):
    """`user` of a request is the number of the session played, also when the file is played again; `k` is its turn.

    A turn's prompt is one user text: the shared beginning of the turn that it continues, and text of its own for what
    was said since. Each session played begins with its nonce, so `nonce` is to be the same for all its turns; where
    sessions share prompts with each other no nonce stands in front, and `salt` (of the run and level) keeps texts from
    being those of an earlier level. `speed` 2 halves pauses and the times between sessions; `longest_pause_s` caps a
    pause.
    """

    name: Final = "sessions"

    def __init__(
        self,
        *,
        path: str | Path,
        seed: int = 0,
        salt: int = 0,
        speed: float = 1.0,
        longest_pause_s: float | None = None,
        max_sessions: int | None = None,
        max_input_tokens: int | None = None,
    ) -> None:
        check_replay(speed, max_sessions=max_sessions, max_input_tokens=max_input_tokens)
        if longest_pause_s is not None and not longest_pause_s >= 0:
            raise UsageError(f"longest-pause-s: {longest_pause_s} is no length of time; 0 leaves all pauses out")
        self._path, self._seed, self._salt, self._speed = Path(path), seed, salt, speed
        self._longest_pause_s = longest_pause_s
        self._form, recorded = read_sessions(self._path, forms=SESSION_FORMS)
        self._all = recorded
        """Also those that are not asked: others may begin as they do."""
        fits = [number for number, one in enumerate(recorded) if _fits(one, max_input_tokens)]
        self._played = sorted(fits, key=lambda number: recorded[number].arrival_s or 0.0)[:max_sessions]
        self._left_out = len(recorded) - len(fits)
        if not self._played:
            raise UsageError(f"{self._path}: every session has a prompt of more than {max_input_tokens} tokens")
        self._shares_across = any(
            turn.base is not None and turn.base[0] != number
            for number in self._played
            for turn in recorded[number].turns
        )
        self._places = Draws(seed, purpose="place")
        self._filler = Filler(seed=seed)

    def session(self, play: int) -> Session:
        """The session that is played as the `play`-th."""
        return self._all[self._played[play % len(self._played)]]

    def turn_counts(self) -> tuple[int, ...]:
        return tuple(len(self._all[number].turns) for number in self._played)

    def _turns(self) -> list[Turn]:
        """All that are played, of the file played once."""
        return [turn for number in self._played for turn in self._all[number].turns]

    def pause_s(self, turn: Turn) -> float:
        """How long a turn waits behind what it waits for."""
        pause_s = turn.pause_s / self._speed
        return pause_s if self._longest_pause_s is None else min(pause_s, self._longest_pause_s)

    def arrivals_s(self) -> list[float] | None:
        found = [at_s for number in self._played if (at_s := self._all[number].arrival_s) is not None]
        return [(arrival_s - found[0]) / self._speed for arrival_s in found] or None

    def use_salt(self, salt: int) -> None:
        self._salt = salt

    async def prepare(self, server: Server) -> Sequence[Caution]:
        cautions = await self._filler.prepare_for(server, [turn.input_tokens for turn in self._turns()])
        cautions += left_out(self._left_out, of=len(self._all), why="a prompt of more than max-input-tokens")
        return [*cautions, *shared_prefixes(self.shared_input_share())]

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        turns = self.session(user).turns
        place = k % len(turns)
        turn = turns[place]
        input_tokens = max(turn.input_tokens, self._filler.least_tokens)
        content = self._content((user, place), nonce=nonce, count=input_tokens - self._filler.overhead_tokens)
        ask = self._filler.ask(
            content,
            input_tokens=input_tokens,
            output_tokens=capped(turn.output_tokens, max_output_tokens),
            name=one_line(f"{self.session(user).name}/{turn.name}", limit=LONGEST_NAME),
        )
        return replace(ask, shared_tokens=turn.shared_tokens)

    def shared_input_share(self) -> float:
        """Input tokens that stood at the start of an earlier prompt / all input tokens, of the file played once."""
        turns = self._turns()
        return sum(turn.shared_tokens for turn in turns) / sum(turn.input_tokens for turn in turns)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "path": str(self._path),
            "form": self._form,
            "speed": self._speed,
            "longest_pause_s": self._longest_pause_s,
            "sessions": len(self._played),
            "turns": sum(self.turn_counts()),
            "left_out": self._left_out,
            "shared_input_share": round(self.shared_input_share(), 4),
            "nonce": "none, sessions share prompts" if self._shares_across else "in front of each session",
            **self._filler.describe(),
        }

    def _content(self, of: tuple[int, int], *, nonce: int, count: int) -> Piece:
        """The prompt's text: its own behind that of the turn that it continues, which is made the same way.

        Only where a text begins stands a nonce; behind a shared beginning the place in our long text is another one.
        """
        play, place = of
        number, first = self._played[play % len(self._played)], play - play % len(self._played)
        source, overhead_tokens = self._filler.source, self._filler.overhead_tokens
        parts: list[Piece] = []
        while True:
            turn = self._all[number].turns[place]
            shared = max(0, min(count, turn.shared_tokens - overhead_tokens))
            at = self._places.bits(number, place)
            if turn.base is None or not shared:
                parts.append(self._begun(self._nonce((first, number, place), nonce=nonce), at, count=count))
                return source.join(parts[::-1])
            parts.append(source.take(at, count=count - shared))
            (number, place), count = turn.base, shared

    def _nonce(self, of: tuple[int, int, int], *, nonce: int) -> int:
        """Of the session and the turn where a text begins; where sessions share prompts, in the round of the file."""
        first, number, place = of
        salt = mix(mix(self._seed ^ self._salt) ^ first) if self._shares_across else nonce
        return mix(salt + number * _MOST_TURNS + place)

    def _begun(self, nonce: int, at: int, *, count: int) -> Piece:
        source = self._filler.source
        if count < source.nonce_tokens:
            return source.head(nonce, count=count)
        return source.join((source.nonce(nonce), source.take(at, count=count - source.nonce_tokens)))


def _fits(session: Session, max_input_tokens: int | None) -> bool:
    return max_input_tokens is None or all(turn.input_tokens <= max_input_tokens for turn in session.turns)
