"""How long it takes to make 10,000 requests of each synthetic workload; fails above two seconds."""

import asyncio
import sys
import time
from typing import Any

from breakeven.workload import make_workload
from breakeven.workload.base import Ask

COUNT = 10_000
LIMIT_S = 2.0
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


def seconds(name: str, settings: dict[str, Any], *, api: str) -> float:
    started_s = time.perf_counter()
    workload = make_workload(name, settings)
    asyncio.run(workload.prepare(Silent(api)))
    for number in range(COUNT):
        workload.make(nonce=number, user=number % 100, k=number // 100)
    return time.perf_counter() - started_s


def main() -> int:
    slowest_s = 0.0
    for api in ("chat", "completions"):
        for name, settings in WORKLOADS.items():
            took_s = seconds(name, settings, api=api)
            slowest_s = max(slowest_s, took_s)
            each_us = took_s / COUNT * 1e6
            print(f"{name:13} {api:12} {took_s:6.3f} s  {COUNT / took_s:9,.0f} requests/s  {each_us:6.1f} us each")
    return int(slowest_s > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
