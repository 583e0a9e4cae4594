"""The server before the load: is it there, does it speak OpenAI, which model, which fields does it take, is it idle?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from breakeven.caution import Caution
from breakeven.client.answer import Meter
from breakeven.client.ask import Asker, FetchError, Route, Seen, fetch
from breakeven.client.openai import BAD_JSON
from breakeven.client.request import LIMIT, Change, RequestMaker
from breakeven.client.target import Target
from breakeven.clock import now_s
from breakeven.engine import ENGINES
from breakeven.engine.base import OpenAI
from breakeven.engine.detect import adapter, engine_of
from breakeven.engine.idle import Busy, busy_requests
from breakeven.errorkinds import kind_of
from breakeven.errors import RunFailedError, one_line
from breakeven.session.questions import ModelInfo, doubt, hint, list_models, only_model, refused, told
from breakeven.workload.base import Ask


class Server:
    """A server that will be measured; what a workload may ask of it while it prepares."""

    def __init__(self, target: Target, *, engine: OpenAI, maker: RequestMaker) -> None:
        self.target = target
        self.engine = engine
        self.maker = maker
        self.notes: list[Caution] = []
        """Cautions for every level."""
        self._gauges: type[OpenAI] | None = None

    @property
    def api(self) -> str:
        return self.maker.api

    @property
    def model(self) -> str:
        return self.maker.model

    @property
    def models(self) -> tuple[str, ...]:
        """All models that are asked for."""
        return tuple(name for name, _ in self.maker.shares) or (self.model,)

    async def probe(self, ask: Ask, *, model: str | None = None, target: Target | None = None) -> Seen:
        """Send `ask` with one token of output, outside any measurement; to `target` of several engines."""
        route = Route(target or self.target, self.maker.path, meter=Meter())
        asker = Asker(route)
        seen = await asker.ask(self.maker.encode(ask, output_tokens=1, model=model), due_s=now_s())
        asker.drop()
        if seen.status == "cut":  # for a level this would be a result; here somebody wants us to stop
            raise asyncio.CancelledError
        return seen

    async def prompt_tokens(self, ask: Ask) -> int | None:
        """The prompt's length by the server's usage; RunFailedError where it refuses the request."""
        seen = await self.probe(ask)
        if seen.status == "error":
            raise RunFailedError(f"{self.target.url}: {one_line(seen.error_text or seen.error or 'failed')}")
        return None if seen.answer is None else seen.answer.input_tokens

    async def count_tokens(self, text: str) -> int | None:
        """Tokens of a text by the server's /tokenize; None where it has none."""
        engine = self.engine
        if engine.tokenize_path is None or engine.tokenize_field is None:
            return None
        body = {"model": self.model, engine.tokenize_field: text, **engine.tokenize_body}
        try:
            status, _, reply = await fetch(self.target, self.target.to_engine(engine.tokenize_path), body=body)
            return engine.tokens_in(msgspec.json.decode(reply)) if status == 200 else None
        except (FetchError, *BAD_JSON):
            return None

    async def probe_s(self) -> float | None:
        """How long a one-token answer takes, of several engines the slowest's; None where it fails."""
        start_s = now_s()
        each = await asyncio.gather(*(self.probe(hello(self.api), target=one) for one in self.target.replicas))
        return now_s() - start_s if all(seen.status == "done" for seen in each) else None

    async def busy_requests(self) -> Busy | None:
        """Requests at work or waiting by the engines' own gauges; None where one has none. Nobody there: none."""
        each = [busy for target in self.target.replicas if (busy := await self._busy(target)) is not None]
        if len(each) < len(self.target.replicas):
            return None
        return Busy(sum(one.requests for one in each), max(one.age_s for one in each))

    async def _busy(self, target: Target) -> Busy | None:
        try:
            status, _, body = await fetch(target, target.to_engine("/metrics"))
        except FetchError as error:
            return Busy(0) if kind_of(error.kind).whose == "network" else None
        text = body.decode("utf-8", "replace") if status == 200 else ""
        if self._gauges is None:
            engines = map(adapter, ENGINES)
            self._gauges = next(
                (one for one in engines if busy_requests(text, one.running_metrics) is not None), OpenAI
            )
        requests = busy_requests(text, self._gauges.running_metrics)
        return None if requests is None else Busy(requests, self._gauges.gauges_age_s)


def hello(api: str) -> Ask:
    """A request that any server can answer."""
    if api == "chat":
        return Ask(messages=[{"role": "user", "content": "Hello"}], output_tokens=1)
    return Ask(prompt="Hello", output_tokens=1)


async def find_server(
    target: Target,
    *,
    api: str,
    models: Sequence[tuple[str, float]],
    engine: str | None,
    say: Callable[[str], None],
    body: Mapping[str, Any] | None = None,
) -> Server:
    """Find out model and engine, and ask for one token; an error here is one line, before anything is measured.

    `models` are names and shares; none: the one that the server lists.
    """
    listed = await list_models(target, is_named=bool(models))
    names = [name for name, _ in models] or [only_model(target, listed)]
    chosen: OpenAI = adapter(engine or engine_of(msgspec.to_builtins(listed)) or "openai")()
    maker = RequestMaker(
        api=api,
        model=names[0],
        exact_length_body=dict(chosen.exact_length_body),
        body=dict(body or {}),
        shares=models if len(models) > 1 else (),
    )
    server = Server(target, engine=chosen, maker=maker)
    say(f"asking {target.url} for a first token …")
    for name in names:
        await _first_token(server, name, listed)
    for number, beside in enumerate(target.beside, 2):
        await _also_answers(server, beside, number)
    return server


async def _also_answers(server: Server, beside: Target, number: int) -> None:
    """A further engine of the deployment answers too; RunFailedError names it where it does not."""
    seen = await server.probe(hello(server.api), target=beside)
    if seen.status == "error":
        why = one_line(seen.error_text or seen.error or "failed")
        raise RunFailedError(f"replica {number} of {len(server.target.replicas)}, {beside.url}, does not answer: {why}")


async def _first_token(server: Server, model: str, listed: list[ModelInfo] | None) -> None:
    """Ask for one token; replace or leave out fields that the server refuses, one by one, and say so."""
    ask = msgspec.structs.replace(hello(server.api), exact_length=True)
    seen = await server.probe(ask, model=model)
    while kind_of(seen.error).is_refusal:
        change = server.maker.yields(seen.error_text or "")
        if change is None:
            seen = await _without_all(server, ask, model, seen)
            break
        again = await server.probe(ask, model=model)
        if again.error_text == seen.error_text and kind_of(again.error).is_refusal:
            server.maker.take_back(change)
            break
        server.notes.append(_changed(change))
        seen = again
    if seen.status == "error":
        _judge(server, seen, model, listed)
    elif (note := doubt(model, listed)) is not None:
        server.notes.append(note)


async def _without_all(server: Server, ask: Ask, model: str, refused: Seen) -> Seen:
    """The refusal names no field of ours: ask once without all that can be left out."""
    left = server.maker.optional()
    if not left:
        return refused
    server.maker.dropped |= set(left)
    seen = await server.probe(ask, model=model)
    if seen.status == "error":
        server.maker.dropped -= set(left)
        return refused
    server.notes += [_changed(Change(name)) for name in left]
    return seen


def _changed(change: Change) -> Caution:
    if change.by is not None:
        return Caution(
            id="field_replaced",
            seen="the server refuses the field {field}, so {by} was sent in its place",
            advice="nothing is wrong with that; it is what its models want",
            values={"field": change.field, "by": change.by},
        )
    return Caution(
        id="field_dropped",
        seen="the server refuses the field {field}, so it was left out",
        advice="lengths may differ from what was asked for; see the docs of the engine",
        values={"field": change.field},
    )


def _judge(server: Server, seen: Seen, model: str, listed: list[ModelInfo] | None) -> None:
    """Stop where no request can ever work; else say what happened and let the levels show it."""
    target, text = server.target, one_line(seen.error_text or "")
    status = None if seen.answer is None else seen.answer.status
    if status in (401, 403):
        raise refused(target, status, text)
    known = [info.id for info in listed or ()]
    if status in (400, 404) and known and model not in known:
        raise RunFailedError(f"{target.url} knows no model '{one_line(model, limit=80)}'; it serves: {told(known)}")
    if status is not None and 300 <= status < 400:
        raise RunFailedError(f"{target.url} answers {status}, {text}; give the address that it leads to")
    has_template = "chat template" not in text.lower().replace("_", " ")
    if (status or 0) >= 400 and server.api == "chat" and not has_template:
        raise RunFailedError(f"{target.url}: {text}; this model has no chat template: ask it with --api completions")
    if status in (404, 405):
        asked = f"{target.origin}{target.to_api(server.maker.path)}"
        raise RunFailedError(
            f"{asked} answers {status} ({text}); this is no OpenAI server, or not its address: --url may also be the "
            "whole address that ends in /chat/completions"
        )
    if kind_of(seen.error).is_no_server and (seen.answer is None or status is None or seen.answer.is_good):
        raise RunFailedError(f"{target.url}: {text}{hint(target, seen.error)}")
    failed, why = "the first request failed: {why}", {"why": text or seen.error}
    server.notes.append(Caution(id="first_request", seen=failed, advice="see the server's log", values=why))


def describe_engine(server: Server, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the engine: adapter, address and what was found out about it."""
    return {
        "name": server.engine.name,
        "url": server.target.url,
        "fields_dropped": sorted(server.maker.dropped),
        **({"output_limit": server.maker.limit} if server.maker.limit != LIMIT else {}),
        **facts,
    }
