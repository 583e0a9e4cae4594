"""Dataset: prompts of a file, with a nonce in front."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from breakeven.errors import UsageError, one_line
from breakeven.workload.base import Ask, Server
from breakeven.workload.draw import Walk
from breakeven.workload.filler import capped
from breakeven.workload.rows import Row, read_rows, shown
from breakeven.workload.text import Words, resource_lines

COLUMNS: Final = ("prompt", "messages", "conversations")
"""Columns looked for, in this order, where none is named."""
_SHAREGPT_ROLES: Final = {"human": "user", "user": "user", "system": "system"}


class Item(NamedTuple):
    """One prompt: the first user text, what stands before and after it, and the length of its answer."""

    before: list[dict[str, str]]
    text: str
    after: list[dict[str, str]]
    output_tokens: int | None
    name: str


class Dataset:
    """Each user walks all rows in a seeded order from a place of its own.

    A prompt column holds text; a `messages` column holds a chat up to its last user message; of a ShareGPT
    conversation the first question is asked. `output_column` names the answer's length in tokens.
    """

    name: Final = "dataset"

    def __init__(
        self,
        *,
        path: str | Path,
        output_tokens: int,
        column: str | None = None,
        output_column: str | None = None,
        seed: int = 0,
    ) -> None:
        self._path = Path(path)
        self._output_tokens = output_tokens
        self._column = column
        self._output_column = output_column
        self._seed = seed
        self._left_out = 0
        self._items = list(self._read())
        if not self._items:
            raise UsageError(f"{self._path}: holds no prompt")
        self._walk = Walk(seed, count=len(self._items))
        self._words = Words(resource_lines("words.txt"), seed=seed)
        self._chat = True

    async def prepare(self, server: Server) -> Sequence[str]:
        self._chat = server.api == "chat"
        return []

    def make(self, *, nonce: int, user: int, k: int, max_output_tokens: int | None = None) -> Ask:
        item = self._items[self._walk.at(user, k)]
        messages = [
            *item.before,
            {"role": "user", "content": f"{self._words.nonce(nonce)}: {item.text}"},
            *item.after,
        ]
        return Ask(
            messages=messages if self._chat else None,
            prompt=None if self._chat else _as_text(messages),
            output_tokens=capped(item.output_tokens or self._output_tokens, max_output_tokens),
            exact_length=item.output_tokens is not None,
            name=item.name,
        )

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seed": self._seed,
            "path": str(self._path),
            "column": self._column,
            "output_column": self._output_column,
            "output_tokens": self._output_tokens,
            "prompts": len(self._items),
            "left_out": self._left_out,
        }

    def _read(self) -> Iterator[Item]:
        with read_rows(self._path) as rows:
            for number, row in enumerate(rows, start=1):
                self._column = self._column or _find_column(row)
                output = None if self._output_column is None else row.tokens(self._output_column)
                parts = _parts(row, self._column)
                if parts is None:
                    self._left_out += 1
                else:
                    yield Item(*parts, output_tokens=output, name=f"row-{number}")


def _find_column(row: Row) -> str:
    for column in COLUMNS:
        if column in row.fields:
            return column
    raise UsageError(
        f"{row.where}: no column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}; name the one that holds the prompt, "
        f"of: {one_line(', '.join(row.fields), limit=120) or 'none'}"
    )


def _parts(row: Row, column: str) -> tuple[list[dict[str, str]], str, list[dict[str, str]]] | None:
    """What stands before the first user text, that text, what stands after it; None where no user says anything."""
    value = row.value(column)
    if not isinstance(value, list):
        return [], row.text(column), []
    sharegpt = any(isinstance(turn, dict) and "from" in turn for turn in value)
    turns = [_turn(turn, row=row, keys=("from", "value") if sharegpt else ("role", "content")) for turn in value]
    users = [index for index, turn in enumerate(turns) if turn["role"] == "user" and turn["content"].strip()]
    if not users:
        return None
    first, last = users[0], users[-1]
    before = [turn for turn in turns[:first] if not sharegpt or turn["role"] == "system"]
    return before, turns[first]["content"], [] if sharegpt else turns[first + 1 : last + 1]


def _turn(turn: object, *, row: Row, keys: tuple[str, str]) -> dict[str, str]:
    role, content = (turn.get(keys[0]), turn.get(keys[1])) if isinstance(turn, dict) else (None, None)
    if not isinstance(role, str) or not isinstance(content, str):
        raise UsageError(f"{row.where}: a turn needs the texts '{keys[0]}' and '{keys[1]}', but is {shown(turn)}")
    known = _SHAREGPT_ROLES.get(role, "assistant") if keys[0] == "from" else role
    return {"role": known, "content": content}


def _as_text(messages: Sequence[dict[str, str]]) -> str:
    """For `completions`: the contents with empty lines between them."""
    return "\n\n".join([message["content"] for message in messages])
