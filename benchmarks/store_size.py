"""How much disk, memory and time a large level takes: 5 minutes of 100 users at 3,000 tok/s, in chunks of one token.

Run it as `python benchmarks/store_size.py`. Records are made up, the way from them to the summary is the real one. The
part that reads runs in a process of its own, so that its peak memory is that of reading and summarising alone.
"""

import datetime
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from breakeven.plan import Plan
from breakeven.record import LevelFacts, Record
from breakeven.session.summary import summarise
from breakeven.store.folder import RunFolder

USERS, WINDOW_S, TOK_PER_S, ANSWER_TOKENS = 100, 300.0, 3000, 256
MB = 1e6


def write(out: Path) -> RunFolder:
    folder = RunFolder.create(out, started=datetime.datetime.now(datetime.UTC), label="size", plan=Plan(users=(USERS,)))
    facts = LevelFacts(users=USERS, start_s=0.0, open_s=0.0, close_s=WINDOW_S, end_s=WINDOW_S, stopped="max")
    log, chance = folder.start_level(facts), np.random.default_rng(0)
    answer_s = ANSWER_TOKENS * USERS / TOK_PER_S
    for k in range(int(WINDOW_S / answer_s) + 1):
        for user in range(USERS):
            log.put(made_up(user, k, answer_s=answer_s, chance=chance))
    log.close()
    (path,) = (folder.path / "records").iterdir()
    print(f"log      {path.stat().st_size / MB:6.1f} MB")
    start_s = time.perf_counter()
    folder.seal_level(facts)
    (path,) = (folder.path / "records").iterdir()
    print(f"Parquet  {path.stat().st_size / MB:6.1f} MB, sealed in {time.perf_counter() - start_s:.1f} s")
    return folder


def made_up(user: int, k: int, *, answer_s: float, chance: np.random.Generator) -> Record:
    steps_us = chance.gamma(4.0, answer_s / ANSWER_TOKENS * 1e6 / 4.0, ANSWER_TOKENS)
    due_s = (k - user / USERS) * answer_s
    return Record(
        user=user,
        k=k,
        due_s=due_s,
        sent_s=due_s,
        end_s=due_s + answer_s,
        status="done",
        finish_reason="length",
        http_status=200,
        input_tokens=512,
        output_tokens=ANSWER_TOKENS,
        chunk_us=steps_us.astype("<u4").tobytes(),
    )


def read(path: Path) -> None:
    before = peak_mb()
    start_s = time.perf_counter()
    (level,) = summarise(RunFolder.open(path)).levels
    print(f"read and summarised {level.output_tokens:,} tokens in {time.perf_counter() - start_s:.1f} s")
    print(f"peak memory {peak_mb():.0f} MB, of which {before:.0f} MB before the first byte was read")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1) / MB


def main() -> None:
    if len(sys.argv) > 1:
        read(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as out:
        folder = write(Path(out))
        subprocess.run([sys.executable, __file__, str(folder.path)], check=True)


if __name__ == "__main__":
    main()
