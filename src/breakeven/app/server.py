"""The server before the load: is it there, does it speak OpenAI, which model, which fields does it take, is it idle?"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from breakeven.caution import Caution
from breakeven.client.answer import Meter
from breakeven.client.ask import Asker, FetchError, Route, Seen, fetch
from breakeven.client.openai import BAD_JSON, error_in_body
from breakeven.client.request import RequestMaker
from breakeven.client.target import Target
from breakeven.clock import now_s
from breakeven.engine import ENGINES
from breakeven.engine.base import OpenAI
from breakeven.engine.detect import adapter, engine_of
from breakeven.engine.idle import busy_requests
from breakeven.errors import LONGEST_NAME, RunFailedError, UsageError, one_line
from breakeven.workload.base import Ask

_NO_SERVER: Final = {"connect", "tls", "bad_http", "not_openai", "closed", "reset"}


class ModelInfo(msgspec.Struct):
    id: str
    owned_by: str | None = None


class ModelList(msgspec.Struct):
    data: list[ModelInfo]


class Server:
    """A server that will be measured; what a workload may ask of it while it prepares."""

    def __init__(self, target: Target, *, engine: OpenAI, maker: RequestMaker, timeout_s: float) -> None:
        self.target = target
        self.engine = engine
        self.maker = maker
        self.timeout_s = timeout_s
        self.notes: list[Caution] = []
        """Cautions for every level."""
        self._gauges: tuple[str, ...] | None = None

    @property
    def api(self) -> str:
        return self.maker.api

    @property
    def model(self) -> str:
        return self.maker.model

    async def probe(self, ask: Ask) -> Seen:
        """Send `ask` with one token of output, outside any measurement."""
        route = Route(self.target, self.maker.path, meter=Meter(), timeout_s=self.timeout_s)
        asker = Asker(route)
        seen = await asker.ask(self.maker.encode(ask, output_tokens=1), due_s=now_s())
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
            status, _, reply = await fetch(self.target, engine.tokenize_path, body=body)
            return engine.tokens_in(msgspec.json.decode(reply)) if status == 200 else None
        except (FetchError, *BAD_JSON):
            return None

    async def probe_s(self) -> float | None:
        """How long a one-token answer takes; None where it fails."""
        start_s = now_s()
        seen = await self.probe(hello(self.api))
        return now_s() - start_s if seen.status == "done" else None

    async def busy_requests(self) -> int | None:
        """Requests at work or waiting by the engine's own gauges; None where it has none. Nobody there: none."""
        try:
            status, _, body = await fetch(self.target, "/metrics")
        except FetchError as error:
            return 0 if error.kind == "connect" else None
        text = body.decode("utf-8", "replace") if status == 200 else ""
        if self._gauges is None:
            self._gauges = next((names for names in _all_gauges() if busy_requests(text, names) is not None), ())
        return busy_requests(text, self._gauges) if self._gauges else None


def _all_gauges() -> list[tuple[str, ...]]:
    return [names for name in ENGINES if (names := adapter(name).running_metrics)]


def hello(api: str) -> Ask:
    """A request that any server can answer."""
    if api == "chat":
        return Ask(messages=[{"role": "user", "content": "Hello"}], output_tokens=1)
    return Ask(prompt="Hello", output_tokens=1)


async def find_server(
    target: Target,
    *,
    api: str,
    model: str | None,
    engine: str | None,
    timeout_s: float,
    say: Callable[[str], None],
) -> Server:
    """Find out model and engine, and ask for one token; an error here is one line, before anything is measured."""
    models = await _models(target, model)
    name = _choose_model(target, models, model)
    chosen = _adapter(engine, models)
    maker = RequestMaker(api=api, model=name, exact_length_body=dict(chosen.exact_length_body))
    server = Server(target, engine=chosen, maker=maker, timeout_s=timeout_s)
    say(f"asking {target.url} for a first token …")
    await _first_token(server, models)
    return server


def _adapter(engine: str | None, models: ModelList | None) -> OpenAI:
    """The adapter that was named, or the one that the server's models name as their owner, or the plain one."""
    return adapter(engine or engine_of(msgspec.to_builtins(models)) or "openai")()


async def _models(target: Target, model: str | None) -> ModelList | None:
    """The server's list of models; None where it has none and the model is named anyway."""
    try:
        status, _, body = await fetch(target, "/v1/models")
    except FetchError as error:
        raise RunFailedError(f"{target.url}: {error}; is the server up, and is this its address?") from None
    if status in (401, 403):
        raise _refused(target, status, error_in_body(body))
    if status != 200 and model is None:
        text = one_line(error_in_body(body), limit=120)
        raise RunFailedError(
            f"{target.url}/v1/models answers {status} ({text}); is this an OpenAI server, and is it ready? "
            "--model NAME goes without the list"
        )
    try:
        return msgspec.json.decode(body, type=ModelList) if status == 200 else None
    except BAD_JSON:
        if model is None:
            shown = one_line(body.decode("utf-8", "replace"), limit=80)
            raise RunFailedError(
                f"{target.url}/v1/models is no list of models, so this is no OpenAI server: {shown}"
            ) from None
        return None


def _choose_model(target: Target, models: ModelList | None, model: str | None) -> str:
    if model is not None:
        return model
    known = [info.id for info in models.data] if models else []
    if len(known) == 1:
        return _sound_name(known[0], target)
    if known:
        raise UsageError(f"{target.url} serves several models; choose one with --model: {_listed(known)}")
    raise RunFailedError(
        f"{target.url}/v1/models names no model; give its name with --model, if it is an OpenAI server"
    )


def _sound_name(name: str, target: Target) -> str:
    """The name, which is sent with every request and stored; RunFailedError where it is none."""
    if name != one_line(name, limit=LONGEST_NAME):
        raise RunFailedError(
            f"{target.url}/v1/models names its model '{one_line(name, limit=40)}', which holds control characters or "
            f"more than {LONGEST_NAME} characters; give its name with --model"
        )
    return name


def _listed(names: list[str]) -> str:
    return one_line(", ".join(names), limit=400)


def _refused(target: Target, status: int, text: str) -> RunFailedError:
    return RunFailedError(
        f"{target.url} answers {status} ({one_line(target.hide_key(text), limit=120)}); "
        "put the key into an environment variable and name it with --api-key-env"
    )


async def _first_token(server: Server, models: ModelList | None) -> None:
    """Ask for one token; leave out optional fields that the server refuses, one by one, and say so."""
    ask = msgspec.structs.replace(hello(server.api), exact_length=True)
    seen = await server.probe(ask)
    while seen.error in ("http_400", "http_422"):
        field = server.maker.droppable(seen.error_text or "")
        if field is None:
            break
        server.maker.dropped.add(field)
        server.notes.append(
            Caution(
                id="field_dropped",
                seen="the server refuses the field {field}, so it was left out",
                advice="lengths may differ from what was asked for; see the docs of the engine",
                values={"field": field},
            )
        )
        seen = await server.probe(ask)
    if seen.status == "error":
        _judge(server, seen, models)


def _judge(server: Server, seen: Seen, models: ModelList | None) -> None:
    """Stop where no request can ever work; else say what happened and let the levels show it."""
    url, text = server.target.url, one_line(seen.error_text or "")
    status = None if seen.answer is None else seen.answer.status
    if status in (401, 403):
        raise _refused(server.target, status, text)
    known = [info.id for info in models.data] if models else []
    if status in (400, 404) and known and server.model not in known:
        raise RunFailedError(f"{url} knows no model '{server.model}'; it serves: {_listed(known)}")
    if status is not None and 300 <= status < 400:
        raise RunFailedError(f"{url} answers {status}, a redirect; give the address that it leads to")
    if status in (404, 405):
        raise RunFailedError(
            f"{url}{server.maker.path} answers {status} ({text}); this is no OpenAI server, or not its address"
        )
    if seen.error in _NO_SERVER and (status in (None, 200)):
        raise RunFailedError(f"{url}: {text}")
    failed, why = "the first request failed: {why}", {"why": text or seen.error}
    server.notes.append(Caution(id="first_request", seen=failed, advice="see the server's log", values=why))


def describe_engine(server: Server, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the engine: adapter, address and what was found out about it."""
    return {
        "name": server.engine.name,
        "url": server.target.url,
        "fields_dropped": sorted(server.maker.dropped),
        **facts,
    }
