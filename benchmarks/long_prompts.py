"""How long a request takes from when it is due until it is sent, by the length of its prompt.

    python benchmarks/long_prompts.py                 # 64 to 32,768 tokens, chat and completions: a minute and a half
    python benchmarks/long_prompts.py --json FILE

20 users ask the reference server (TTFT 50 ms, 32 tokens, one each 10 ms). What is made between two requests of a user
would lie inside TTFT; a request is made while the answer before it is awaited. `made in` is the time that one takes.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvloop
from workload_speed import Silent

from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s, wall_now
from breakeven.load.crew import LocalCrew
from breakeven.load.level import Level, LevelPlan
from breakeven.load.worker import Worker
from breakeven.record import Record
from breakeven.telemetry.host import host_facts
from breakeven.workload import make_workload

LENGTHS: Final = (64, 1024, 8192, 32_768)
USERS: Final = 20
TRIES: Final = 200


def main() -> int:
    """Print a row for each length."""
    parser = argparse.ArgumentParser(description="How long a request takes from when it is due until it is sent.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    arguments = parser.parse_args()
    print("api          tokens      bytes  made in, us  due to sent, ms p50    p99  requests")
    rows = [_row(api, tokens) for api in ("chat", "completions") for tokens in LENGTHS]
    if arguments.json is not None:
        document = {"made": wall_now().isoformat(), "host": host_facts(), "users": USERS, "rows": rows}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _row(api: str, tokens: int) -> dict[str, Any]:
    maker = RequestMaker(api=api, model="truth", exact_length_body={})
    workload = make_workload("fixed", {"input_tokens": tokens, "output_tokens": 32})
    asyncio.run(workload.prepare(Silent(api)))
    began_s = time.perf_counter()
    bodies = [maker.encode(workload.make(nonce=number, user=0, k=number)) for number in range(TRIES)]
    made_us = (time.perf_counter() - began_s) / TRIES * 1e6
    waited_s = uvloop.run(_waited_s(maker, workload))
    p50_ms, p99_ms = (float(value) * 1e3 for value in np.quantile(waited_s, [0.5, 0.99]))
    row = {"api": api, "tokens": tokens, "bytes": len(bodies[-1]), "made_us": made_us}
    row |= {"due_to_sent_p50_ms": p50_ms, "due_to_sent_p99_ms": p99_ms, "requests": len(waited_s)}
    print(
        f"{api:12} {tokens:6d} {len(bodies[-1]):10d} {made_us:12.0f} {p50_ms:20.3f} {p99_ms:6.3f} {len(waited_s):9d}",
        flush=True,
    )
    return row


async def _waited_s(maker: RequestMaker, workload: Any) -> list[float]:
    """From due to sent, of every request of the window."""
    with ReferenceServer(Settings(ttft_s=0.05, itl_s=0.01), connections=USERS + 8) as server:
        worker = Worker(target=await resolve(Access(url=server.url, timeout_s=60.0)), maker=maker, workload=workload)
        records: list[Record] = []
        plan = LevelPlan(
            users=USERS, ramp_s=1.0, warmup_s=2.0, duration_s=6.0, max_duration_s=6.0, precision=0.01, salt=1
        )
        level = Level(
            plan,
            crew=LocalCrew(worker),
            zero_s=now_s(),
            stop=asyncio.Event(),
            progress=lambda _: None,
            check=lambda: None,
            same_host=True,
        )
        facts = await level.run(records.append, lambda _: None)
    assert facts.open_s is not None
    return [one.sent_s - one.due_s for one in records if one.sent_s is not None and one.due_s > facts.open_s]


if __name__ == "__main__":
    sys.exit(main())
