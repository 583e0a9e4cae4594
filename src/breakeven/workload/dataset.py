"""Dataset: prompts of a file, with a nonce in front."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from breakeven.caution import Caution
from breakeven.errors import UsageError, one_line
from breakeven.workload.base import Ask, Server, Workload
from breakeven.workload.draw import Walk
from breakeven.workload.filler import capped, left_out
from breakeven.workload.rows import Row, read_rows, shown
from breakeven.workload.text import Words, resource_lines

COLUMNS: Final = ("prompt", "messages", "conversations", "body.messages", "body.prompt")
"""Columns looked for, in this order, where none is named; the last two are those of OpenAI's batch files."""
_TOOLS: Final = ("tool", "function")
"""Roles of what no user and no assistant says."""
_SHAREGPT_ROLES: Final = {"human": "user", "user": "user", "system": "system"}
"""Whoever else speaks there is the assistant."""
_ROLES: Final = {"human": "user", "gpt": "assistant"}
_ROLE_KEYS: Final = ("from", "role")
_TEXT_KEYS: Final = ("value", "content")


class Item(NamedTuple):
    """One prompt: the first user text, what stands before and after it, and the length of its answer."""

    before: list[dict[str, str]]
    text: str
    after: list[dict[str, str]]
    output_tokens: int | None
    name: str


class Dataset(Workload):
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
        self._left_out_first = ""
        self._items = list(self._read())
        if not self._items:
            why = f": none of its {self._left_out} rows holds a text that can be asked; " if self._left_out else ""
            raise UsageError(f"{self._path}: holds no prompt{why}{self._left_out_first}")
        self._walk = Walk(seed, count=len(self._items))
        self._words = Words(resource_lines("words.txt"), seed=seed)
        self._chat = True

    async def prepare(self, server: Server) -> Sequence[Caution]:
        self._chat = server.api == "chat"
        rows = self._left_out + len(self._items)
        return left_out(self._left_out, of=rows, why="no user says anything, or not all of it is text")

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
                    self._left_out_first = self._left_out_first or _seen(row, self._column)
                else:
                    yield Item(*parts, output_tokens=output, name=f"row-{number}")


def _find_column(row: Row) -> str:
    for column in COLUMNS:
        if column in row.fields or row.get(column) is not None:
            return column
    raise UsageError(
        f"{row.where}: no column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}; name the one that holds the prompt, "
        f"of: {one_line(', '.join(row.fields), limit=120) or 'none'}"
    )


def _seen(row: Row, column: str) -> str:
    """What a row holds in place of a prompt."""
    value = row.get(column)
    if not isinstance(value, list) or not value:
        return f"the first holds {shown(value)} in '{one_line(column, limit=40)}'"
    said = [f"{_field(turn, _ROLE_KEYS)[1]}: {_held(turn)}" for turn in value[:3]]
    return one_line(f"the first holds {len(value)} turns: {', '.join(said)}", limit=200)


def _held(turn: dict[str, object]) -> str:
    """A turn's text, or where it has none the keys that it has."""
    text = _field(turn, _TEXT_KEYS)[1]
    return f"no text in {', '.join(turn)}" if text is None else shown(text)


def _parts(row: Row, column: str) -> tuple[list[dict[str, str]], str, list[dict[str, str]]] | None:
    """What stands before the first user text, that text, what stands after it; None for what cannot be asked."""
    value = row.fields.get(column) if column in row.fields else row.value(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, list):
        return [], row.text(column), []
    sharegpt = any(isinstance(turn, dict) and "from" in turn for turn in value)
    turns = [_turn(turn, row=row) for turn in value]
    said = {i: turn["content"] for i, turn in enumerate(turns) if turn and turn["role"] == "user"}
    users = {i: text for i, text in said.items() if text.strip()}
    if not users:
        return None
    first = min(users)
    last = first if sharegpt else max(users)
    before = [turn for turn in turns[:first] if turn and (not sharegpt or turn["role"] == "system")]
    after = [turn for turn in turns[first + 1 : last + 1] if turn]
    if not sharegpt and len(before) + 1 + len(after) <= last:
        return None
    return before, users[first], after


def _turn(turn: object, *, row: Row) -> dict[str, str] | None:
    """A turn as text; None for what is no text: pictures, calls of tools and their results, nothing at all."""
    role_key, role = _field(turn, _ROLE_KEYS)
    text_key, content = _field(turn, _TEXT_KEYS)
    content = _text(content)
    if not isinstance(turn, dict) or not isinstance(role, str) or not (content is None or isinstance(content, str)):
        found = f"has {Row(row.where, turn).columns()}" if isinstance(turn, dict) else f"is {shown(turn)}"
        raise UsageError(f"{row.where}: a turn needs a text '{role_key}' and a text '{text_key}', but {found}")
    role = role.strip().lower()
    if content is None or turn.get("tool_calls") or role in _TOOLS:
        return None
    known = _SHAREGPT_ROLES.get(role, "assistant") if role_key == "from" else _ROLES.get(role, role)
    return {"role": known, "content": content}


def _field(turn: object, keys: tuple[str, str]) -> tuple[str, object]:
    """The first of these keys that the turn has, and what is there; the last key and None where it has none."""
    known = turn if isinstance(turn, dict) else {}
    key = next((key for key in keys if key in known), keys[-1])
    return key, known.get(key)


def _text(content: object) -> object:
    """The texts of a list of parts in one; None where a part is no text. Anything else is left as it is."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    known = [text for text in texts if isinstance(text, str)]
    return "\n".join(known) if len(known) == len(texts) else None


def _as_text(messages: Sequence[dict[str, str]]) -> str:
    """For `completions`: the contents with empty lines between them."""
    return "\n\n".join([message["content"] for message in messages])
