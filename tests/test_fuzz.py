"""Ten thousand hostile answers, lists of models and pages of metrics over real TCP: each ends, at most, itself.

The seed makes a failure repeatable; `BREAKEVEN_FUZZ_SEED` tries another one.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from asking import body, run
from breakeven.cautions import judged_level
from breakeven.client.answer import Meter
from breakeven.client.ask import Asker, Route, to_record
from breakeven.client.request import PATHS, RequestMaker
from breakeven.client.target import Access, Target, resolve
from breakeven.clock import now_s
from breakeven.engine.detect import adapter
from breakeven.errors import BreakevenError
from breakeven.metrics.slo import parse_slo
from breakeven.record import LevelFacts, Record
from breakeven.session.server import Server, find_server
from breakeven.store.table import read_level, write_level
from breakeven.telemetry.scrape import figures, metric_names

SEED = int(os.environ.get("BREAKEVEN_FUZZ_SEED", "20261128"))
ANSWERS, LISTS, PAGES = 6000, 2000, 2000
KINDS = {"bad_json", "bad_stream", "stream_error", "not_openai", "bad_http", "closed", "timeout"}
POISON: Sequence[bytes] = (
    *(b"\xff", b"\x00", b"\r", b"\n\n", b"\xe2\x80\xae", b"\x1b]0;x\x07", b"[/x]", b"\\ud800"),
    *(b"1e400", b"-1", b"0", b"1.5", b'"7"', b"NaN", b"null", b"true", b"{}", b"[]", b"[null]", b"9" * 40, b"9" * 5000),
    *(b"[" * 3000, b'{"x":' * 3000, b'"' * 7, b"data: ", b"event: error\n", b"[DONE]", b"usage", b"error", b"object"),
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one to three small accidents."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                data = data[:at] + chance.choice(POISON) + data[at:]
            case 1:
                data = data[:at] + chance.choice(POISON) + data[min(to, at + 20) :]
            case 2:
                data = data[:at] + data[min(to, at + 40) :]
            case 3:
                data = data[: min(to, at + 200)] + data[at:]
            case 4:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case _:
                data = _other_value(data, chance)
    return data


def _other_value(data: bytes, chance: random.Random) -> bytes:
    """Something hostile in the place of a JSON value or a header's."""
    colons = [at for at, byte in enumerate(data) if byte == ord(":")]
    if not colons:
        return data
    at = chance.choice(colons) + 1
    ends = [end for mark in (b",", b"}", b"\r") if (end := data.find(mark, at)) >= 0]
    return data[:at] + chance.choice(POISON) + data[min(ends, default=len(data)) :]


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


class Page(NamedTuple):
    """An answer before its head is made."""

    body: bytes
    kind: str = "text/event-stream"
    status: int = 200
    framed: bool = True

    def sent(self) -> bytes:
        length = f"Content-Length: {len(self.body)}\r\n" if self.framed else ""
        head = f"HTTP/1.1 {self.status} Said\r\nContent-Type: {self.kind}\r\n{length}Server: x\r\n\r\n"
        return head.encode() + self.body

    def mutated(self, chance: random.Random) -> bytes:
        """Hostile in its body with a true length; or anywhere, its head too."""
        if chance.random() < 0.2:
            return mutated(self.sent(), chance)
        return self._replace(body=mutated(self.body, chance)).sent()


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
TEXT = event(choices=[{"index": 0, "delta": {"content": "x"}, "finish_reason": None}])
END = event(choices=[{"delta": {}, "finish_reason": "stop"}]) + event(choices=[], usage=USAGE) + b"data: [DONE]\n\n"
SEEDS = [
    Page(TEXT * 2 + END),
    Page(TEXT * 2 + END, framed=False),
    Page(TEXT * 2 + END, kind="text/plain"),
    Page(event(choices=[{"text": "x", "finish_reason": None}], usage=USAGE) * 3 + END),
    Page(event(choices=[{"delta": {"reasoning_content": "x"}}]) + TEXT + END),
    Page(event(choices=[{"delta": {"content": [{"type": "thinking", "thinking": [{"text": "x"}]}]}}]) + END),
    Page(event(choices=[{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}}]) + END),
    Page(TEXT + event(object="error", message="no memory", code=500)),
    Page(TEXT + event(error={"message": "no memory", "detail": [{"msg": "x"}]}) + END),
    Page(b'event: error\ndata: {"message": "no memory"}\n\n'),
    Page(b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}'),
    Page(b'{"error":{"message":"too long"}}', kind="application/json", status=400),
    Page(b"<html>", kind="text/html", status=307),
]
MODELS = [
    {"object": "list", "data": [{"id": "good", "object": "model", "owned_by": "vllm", "parent": None}]},
    {"data": [{"id": "good"}, {"id": "adapter", "parent": "good"}]},
    [{"id": "good", "owned_by": "llamacpp"}],
]
METRICS = (
    b"# HELP vllm:num_requests_running x\n# TYPE vllm:num_requests_running gauge\n"
    b'vllm:num_requests_running{engine="0",model_name="a\\"b"} 3.0\nvllm:num_requests_waiting 1e308 1700000000\n'
    b'vllm:num_requests_waiting{a="b"} 1e308\nvllm:kv_cache_usage_perc{a="b"} 0.5\nvllm:generation_tokens_total 1e5\n'
    b"llamacpp:requests_processing 2\nllamacpp:requests_deferred NaN\n"
)


@asynccontextmanager
async def speaking(say: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """URL of a server that answers each request with what `say` makes of it, and hangs up."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(say(asked.partition(b"\r\n")[0]))
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_no_answer_ends_more_than_itself(tmp_path: Path) -> None:
    chance = random.Random(SEED)

    async def all_of_them() -> list[Record]:
        async with speaking(lambda _: chance.choice(SEEDS).mutated(chance)) as url:
            asker = Asker(Route(await resolve(Access(url=url, timeout_s=5.0)), PATHS["chat"], meter=Meter()))
            kept = []
            for number in range(ANSWERS):
                due_s = now_s()
                seen = await asker.ask(body(), due_s=due_s)
                kept.append(to_record(seen, zero_s=zero_s, user=0, k=number + 1, due_s=due_s))
            asker.drop()
            return kept

    zero_s = now_s()
    records = run(all_of_them)
    kinds = Counter(record.error for record in records)
    assert kinds[None] > ANSWERS / 20
    assert {kind for kind in kinds if kind and not kind.startswith("http_")} <= KINDS, kinds
    assert all(record.output_tokens or not record.chunk_us or record.output_tokens is None for record in records)
    facts = LevelFacts(users=1, start_s=0.0, open_s=0.0, close_s=records[-1].end_s, end_s=records[-1].end_s)
    level = judged_level(facts, records, slo=parse_slo("ttft_p99=2s,tpot_p99=100ms"))
    assert level.errors == ANSWERS - kinds[None]
    assert (level.output_tok_per_s.value or 0) > 0
    write_level(tmp_path / "level.parquet", facts=facts, records=records)
    assert read_level(tmp_path / "level.parquet") == (facts, records)


def test_a_list_of_models_is_read_or_told_in_one_line() -> None:
    chance = random.Random(SEED)
    good = Page(TEXT + END).sent()

    def say(request: bytes) -> bytes:
        if request.startswith(b"POST"):
            return good
        page = json.dumps(chance.choice(MODELS)).encode()
        return Page(page, kind="application/json", status=chance.choice((200, 200, 200, 500))).mutated(chance)

    async def all_of_them() -> Counter[str]:
        told: Counter[str] = Counter()
        async with speaking(say) as url:
            for number in range(LISTS):
                models = [("good", 1.0)] if number % 2 else []
                target = await resolve(Access(url=url))
                try:
                    server = await find_server(target, api="chat", models=models, engine=None, say=lambda _: None)
                    told[type(server).__name__] += 1
                except BreakevenError as error:
                    told[type(error).__name__] += 1
                    lines.append(str(error))
        return told

    lines: list[str] = []
    told = run(all_of_them)
    assert max(map(len, lines)) < 1000
    assert all(line.isprintable() for line in lines)
    assert told["Server"] > LISTS / 4
    assert told["RunFailedError"] > LISTS / 20


@pytest.mark.parametrize("engine", ["vllm", "openai"])
def test_a_page_of_metrics_is_read_or_passed_over(engine: str) -> None:
    chance = random.Random(SEED)
    names = metric_names(adapter(engine))

    async def all_of_them() -> Counter[bool]:
        told: Counter[bool] = Counter()
        async with speaking(lambda _: Page(METRICS, kind="text/plain").mutated(chance)) as url:
            server = asked(await resolve(Access(url=url)), engine)
            for _ in range(PAGES // 2):
                busy = await server.busy_requests()
                told[busy is None] += 1
        return told

    told = run(all_of_them)
    assert told[True]
    for _ in range(PAGES // 2):
        text = mutated(METRICS, chance).decode("utf-8", "replace")
        assert set(figures(text, names=names)) <= set(names)


def asked(target: Target, engine: str) -> Server:
    maker = RequestMaker(api="chat", model="good", exact_length_body={})
    return Server(target, engine=adapter(engine)(), maker=maker)
