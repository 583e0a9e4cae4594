"""Run folders made by code: records of users who wait TTFT for the first token and TPOT for each one after it."""

import datetime
import itertools
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from breakeven.plan import Plan
from breakeven.record import ClientFacts, LevelFacts, Record
from breakeven.store.folder import RunFolder

STARTED = datetime.datetime(2026, 11, 1, 12, 0, tzinfo=datetime.UTC)
TOKENS = 64


def records(
    users: int,
    *,
    tpot_s: float,
    ttft_s: float,
    start_s: float,
    end_s: float,
    ramp_s: float = 0.5,
    error: str | None = None,
) -> list[Record]:
    """What a level leaves: every user asks, reads 64 tokens, asks again; the last answers are cut."""
    dice = random.Random(users)
    found = []
    for user in range(users):
        now = start_s + ramp_s * user / users
        for k in itertools.count():
            first_s, step_s = ttft_s * dice.uniform(0.8, 1.3), tpot_s * dice.uniform(0.93, 1.07)
            steps = [first_s, *([step_s] * (TOKENS - 1))]
            arrived = [now + sum(steps[: i + 1]) for i in (0, len(steps) - 1)]
            kept = steps if arrived[1] <= end_s else steps[: max(0, int((end_s - arrived[0]) / step_s) + 1)]
            done = len(kept) == len(steps)
            failed = error is not None and k == 1 and user == 0
            found.append(
                Record(
                    user=user,
                    k=k,
                    due_s=now,
                    sent_s=now,
                    chunk_us=struct.pack(f"<{len(kept)}I", *(round(step * 1e6) for step in kept)),
                    end_s=min(arrived[1], end_s),
                    status="error" if failed else "done" if done else "cut",
                    error="http" if failed else None,
                    error_text=error if failed else None,
                    http_status=200,
                    input_tokens=200,
                    output_tokens=TOKENS if done else None,
                )
            )
            now = arrived[1]
            if now >= end_s:
                break
    return found


def make_run(
    out: Path,
    *,
    gpu: str = "NVIDIA GeForce RTX 4090",
    engine: str = "vllm",
    model: str = "Llama-3.1-8B-Instruct",
    users: Sequence[int] = (1, 5, 10, 50, 100),
    tpot_s: float = 0.012,
    knee: float = 60.0,
    window_s: float = 12.0,
    gpu_count: int = 1,
    error: str | None = None,
    host: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    name: str | None = None,
    power_w: float | None = None,
) -> RunFolder:
    """A whole run of a server whose TPOT grows as 1 + users / knee."""
    plan = Plan(url="http://gpu-box:8000", users=tuple(users), workload="fixed", input_tokens=200, output_tokens=TOKENS)
    folder = RunFolder.create(out, started=STARTED, label=name or f"{engine}-{gpu}", plan=plan)
    folder.write_host(
        {
            "format": 1,
            "run": {
                "started": STARTED.isoformat(),
                "model": model,
                "workload": {"name": "fixed", "input_tokens": 200, "output_tokens": TOKENS},
                "settings": {
                    "url": plan.url,
                    "users": list(users),
                    "workload": "fixed",
                    "input_tokens": 200,
                    "output_tokens": TOKENS,
                }
                | (settings or {}),
            },
            "engine": {"name": engine, "version": "0.23.1", "url": plan.url},
            "host": {
                "gpus": [{"name": gpu, "memory_bytes": 25_757_220_864}] * gpu_count,
                "cpu": "AMD EPYC 9354",
                "driver": "580.65",
                "breakeven": "0.1.0",
            }
            | (host or {}),
        }
    )
    now = 1.0
    for level in users:
        open_s, close_s = now + 4.0, now + 4.0 + window_s
        made = records(
            level,
            tpot_s=tpot_s * (1 + level / knee),
            ttft_s=0.05 * (1 + level / knee),
            start_s=now,
            end_s=close_s + 0.2,
            error=error,
        )
        facts = LevelFacts(
            users=level,
            start_s=now,
            open_s=open_s,
            close_s=close_s,
            end_s=close_s + 0.2,
            stopped="duration",
            clients=(
                ClientFacts(cpu_s=0.2, window_s=window_s, lag_p50_s=1e-4, lag_p99_s=1e-3, lag_max_s=2e-3, reads=1000),
            ),
            extra={} if power_w is None else {"gpu_board_power_mean_w": power_w * gpu_count},
        )
        log = folder.start_level(facts)
        for record in made:
            log.put(record)
        log.close()
        folder.seal_level(facts)
        now = close_s + 2.0
    return folder
