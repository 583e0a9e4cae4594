"""How long it takes to make 10,000 requests of each workload with text of ours; fails above two seconds.

The traces are made here, of the size of the recorded ones: Azure's without blocks, Mooncake's and Bailian's with the
start of every request shared by some others. Reading them is inside the time, writing them is not.
"""

import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breakeven.workload import make_workload
from breakeven.workload.base import Ask

COUNT = 10_000
LIMIT_S = 2.0
MOST_INPUT_TOKENS = 8_000
SHARED = 0.4
"""Part of a request's blocks that an earlier one had: 37 % of the input of Mooncake's conversations."""
WORKLOADS: dict[str, dict[str, Any]] = {
    "chat": {"output_tokens": 256},
    "fixed": {"input_tokens": 1_000, "output_tokens": 256},
    "lengths": {"input_tokens": "lognormal:1000,0.6", "output_tokens": "lognormal:250,0.8"},
    "conversation": {"input_tokens": 250, "output_tokens": 250, "turns": 4},
}


class Silent:
    """A server that is never asked how long a prompt is: making prompts is what is timed here."""

    model = "none"

    def __init__(self, api: str) -> None:
        self.api = api

    async def count_tokens(self, text: str) -> int | None:  # noqa: ARG002
        return None

    async def prompt_tokens(self, ask: Ask) -> int | None:
        return len(ask.prompt) if isinstance(ask.prompt, list) else None


def lengths() -> Iterator[tuple[int, int]]:
    chance = random.Random(0)
    return ((chance.randint(100, MOST_INPUT_TOKENS), chance.randint(10, 500)) for _ in range(COUNT))


def azure(folder: Path) -> Path:
    path = folder / "azure.csv"
    rows = (
        f"2024-05-10 00:{i // 60 % 60:02d}:{i % 60:02d},{inputs},{out}" for i, (inputs, out) in enumerate(lengths())
    )
    path.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
    return path


def with_blocks(path: Path, *, block_tokens: int, more: dict[str, int]) -> Path:
    new = itertools.count(MOST_INPUT_TOKENS)
    with path.open("w") as file:
        for number, (inputs, outputs) in enumerate(lengths()):
            count = -(-inputs // block_tokens)
            ids = [*range(int(SHARED * count)), *itertools.islice(new, count - int(SHARED * count))]
            row = {"timestamp": number, "input_length": inputs, "output_length": outputs, "hash_ids": ids}
            file.write(json.dumps({**more, **row}) + "\n")
    return path


def sessions(path: Path) -> Path:
    """200 sessions of 50 turns, each of which begins with the whole prompt of the one before it."""
    with path.open("w") as file:
        for number in range(COUNT):
            row = {"session": str(number // 50), "input_tokens": 200 + 150 * (number % 50), "output_tokens": 100}
            file.write(json.dumps(row) + "\n")
    return path


def traces(folder: Path) -> dict[str, Path]:
    return {
        "azure": azure(folder),
        "mooncake": with_blocks(folder / "mooncake.jsonl", block_tokens=512, more={}),
        "bailian": with_blocks(folder / "bailian.jsonl", block_tokens=16, more={"chat_id": 1}),
    }


def seconds(name: str, settings: dict[str, Any], *, api: str) -> float:
    started_s = time.perf_counter()
    workload = make_workload(name, settings)
    asyncio.run(workload.prepare(Silent(api)))
    for number in range(COUNT):
        workload.make(nonce=number, user=number % 100, k=number // 100)
    return time.perf_counter() - started_s


def main() -> int:
    slowest_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        rows = [(name, name, settings) for name, settings in WORKLOADS.items()]
        rows += [(f"trace {name}", "trace", {"path": path}) for name, path in traces(Path(folder)).items()]
        rows.append(("sessions", "sessions", {"path": sessions(Path(folder) / "sessions.jsonl")}))
        for api, (label, name, settings) in itertools.product(("chat", "completions"), rows):
            took_s = seconds(name, settings, api=api)
            slowest_s = max(slowest_s, took_s)
            each_us = took_s / COUNT * 1e6
            print(f"{label:14} {api:12} {took_s:6.3f} s  {COUNT / took_s:9,.0f} requests/s  {each_us:6.1f} us each")
    return int(slowest_s > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
