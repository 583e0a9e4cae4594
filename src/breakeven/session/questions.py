"""What a server says before the load: which models it lists, and why it refuses or cannot be asked."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from breakeven.caution import Caution
from breakeven.client.ask import FetchError, fetch
from breakeven.client.openai import BAD_JSON, error_in_body
from breakeven.client.target import Target
from breakeven.errorkinds import kind_of
from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, one_line

_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+")


class ModelInfo(msgspec.Struct):
    id: str
    owned_by: str | None = None
    parent: str | None = None
    """The model that this one is an adapter (LoRA) of."""


async def list_models(target: Target, *, is_named: bool) -> list[ModelInfo] | None:
    """The server's list of models; None where it has none and the model is named anyway."""
    path = target.to_api("/models")
    try:
        status, _, body = await fetch(target, path)
    except FetchError as error:
        raise RunFailedError(
            f"{target.url}: {error}" + (hint(target, error.kind) or "; is the server up, and is this its address?")
        ) from None
    body = target.hide_key(body.decode("utf-8", "replace")).encode()
    if status in (401, 403):
        raise refused(target, status, error_in_body(body))
    found = _listed_in(body) if 200 <= status < 300 else None
    if found is not None or is_named:
        return found
    text = one_line(error_in_body(body), limit=120)
    if status < 300:
        raise RunFailedError(f"{target.origin}{path} is no list of models, so this is no OpenAI server: {text}")
    raise RunFailedError(
        f"{target.origin}{path} answers {status} ({text}); is this an OpenAI server, and is it ready? "
        "--model NAME goes without the list"
    )


def _listed_in(body: bytes) -> list[ModelInfo] | None:
    """The models in a list, bare or in `data`; entries without a name are passed over. None for what is no list."""
    try:
        said = msgspec.json.decode(body)
    except BAD_JSON:
        return None
    rows = said.get("data", said.get("models")) if isinstance(said, dict) else said
    if rows is None and isinstance(said, dict) and "data" in said:
        return []
    if not isinstance(rows, list):
        return None
    return [found for row in rows if (found := _model_in(row)) is not None]


def _model_in(row: object) -> ModelInfo | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return None
    known = {key: value for key in ("owned_by", "parent") if isinstance(value := row.get(key), str)}
    return ModelInfo(id=row["id"], **known)


def only_model(target: Target, listed: list[ModelInfo] | None) -> str:
    """The one model that is served, adapters of it aside."""
    known = [info.id for info in listed or () if info.parent is None] or [info.id for info in listed or ()]
    if len(known) == 1:
        return _sound_name(known[0], target)
    if known:
        raise UsageError(f"{target.url} serves several models; choose one with --model: {told(known)}")
    raise RunFailedError(
        f"{target.origin}{target.to_api('/models')} names no model; give its name with --model, if it is a server"
    )


def _sound_name(name: str, target: Target) -> str:
    """The name, which is sent with every request and stored; RunFailedError where it is none."""
    if name != one_line(name, limit=LONGEST_NAME):
        raise RunFailedError(
            f"{target.origin}{target.to_api('/models')} names its model '{one_line(name, limit=40)}', which holds "
            f"control characters or more than {LONGEST_NAME} characters; give its name with --model"
        )
    return name


def told(names: Sequence[str]) -> str:
    """Names of models in one line."""
    return one_line(", ".join(names), limit=400)


def doubt(model: str, listed: list[ModelInfo] | None) -> Caution | None:
    """A caution for a model that answers though the server lists no such one: it may be any."""
    name = one_line(model, limit=80)
    if listed is None:
        return Caution(
            id="model_unchecked",
            seen="the server has no list of models, so that the name '{model}' was not checked",
            advice="see in its log or its docs what it serves",
            values={"model": name},
        )
    known = [info.id for info in listed]
    if model in known:
        return None
    return Caution(
        id="model_not_listed",
        seen="the server lists no model '{model}' and answers all the same; it lists {known}",
        advice="see which model it was; many servers answer to any name",
        values={"model": name, "known": told(known) or "none"},
    )


def refused(target: Target, status: int, text: str) -> RunFailedError:
    """A 401 or 403: which header the server names, or that a key is wanted, or that the one sent is no good."""
    said = f"{target.url} answers {status} ({one_line(target.hide_key(text), limit=120)})"
    header = _HEADER_NAME.search(text) if "header" in text.lower() else None
    if header is not None:
        return RunFailedError(
            f"{said}; give the header by --header {header[0]}=VALUE, or --header-env {header[0]}=VARIABLE"
        )
    if target.own_headers():
        return RunFailedError(f"{said}; a key was sent, and it is not good for this")
    return RunFailedError(f"{said}; put the key into an environment variable and name it with --api-key-env")


def hint(target: Target, kind: str | None) -> str:
    """What to do about a question that got no answer; empty where nobody can know."""
    first = kind_of(kind).first
    if not first or ("{https}" in first and (target.scheme != "http" or target.unix_path is not None)):
        return ""
    bare = target.url.partition("://")[2]
    return "; " + first.format(http=f"http://{bare}", https=f"https://{bare}")
