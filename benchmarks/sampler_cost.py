"""What telemetry costs the client: sampler off and on in turns, as ratios within one run; fails above the limits.

    python benchmarks/sampler_cost.py [PAIRS] [WINDOW_S]

The load is the reference server's: 100 users, a token each 10 ms, so that throughput and TTFT are known to be steady.
A pair is one level without and one with the sampler, the order changing from pair to pair.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from breakeven.calibrate.cell import EVENTS_PER_ANSWER, TTFT_S, Nonces
from breakeven.client.reference import ReferenceServer, Settings
from breakeven.client.request import RequestMaker
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s
from breakeven.engine.base import OpenAI
from breakeven.load.crew import LocalCrew
from breakeven.load.level import Level, LevelPlan
from breakeven.load.worker import Worker
from breakeven.metrics.level import summarise_level
from breakeven.metrics.series import Series
from breakeven.metrics.summary import LevelSummary
from breakeven.record import Record
from breakeven.store.samples import read_samples
from breakeven.telemetry.handle import Sampler, sources_for

USERS = 100
ITL_S = 0.010
MOST_CPU_SHARE = 0.01
LEAST_THROUGHPUT = 0.98


async def level(worker: Worker, *, window_s: float) -> LevelSummary:
    records: list[Record] = []
    plan = LevelPlan(
        users=USERS,
        ramp_s=0.5,
        warmup_s=1.5,
        duration_s=window_s,
        max_duration_s=window_s,
        precision=0.01,
    )
    facts = await Level(
        plan,
        crew=LocalCrew(worker),
        zero_s=now_s(),
        stop=asyncio.Event(),
        progress=lambda _progress: None,
        check=lambda: None,
        same_host=True,
    ).run(records.append, lambda _facts: None)
    return summarise_level(facts, records)


async def pairs(url: str, *, count: int, window_s: float, folder: Path) -> list[tuple[LevelSummary, LevelSummary]]:
    maker = RequestMaker(api="chat", model=Settings().model, exact_length_body={})
    target = await resolve(Access(url=url, timeout_s=60.0))
    worker = Worker(target=target, maker=maker, workload=Nonces(EVENTS_PER_ANSWER))
    wanted = sources_for(url=url, engine=OpenAI, is_local=True)
    found = []
    for number in range(count):
        place = folder / f"pair{number}"
        place.mkdir()
        off = await level(worker, window_s=window_s) if number % 2 == 0 else None
        with Sampler(place, zero_s=now_s(), wanted=wanted):
            on = await level(worker, window_s=window_s)
        found.append((off or await level(worker, window_s=window_s), on))
    return found


def cpu_share(folder: Path) -> float:
    """CPU of the sampler while it sampled, of one core; its start, before the level, is left out."""
    series = read_samples(folder).of("host", "sampler_cpu_s")
    assert isinstance(series, Series), series
    return float((series.values[-1] - series.values[0]) / (series.at_s[-1] - series.at_s[0]))


def rate(level: LevelSummary) -> float:
    assert level.output_tok_per_s.value is not None
    return level.output_tok_per_s.value


def ttft_ms(level: LevelSummary) -> float:
    assert level.of("ttft_s").p50.value is not None
    return 1000 * level.of("ttft_s").p50.value


def cpu_us(level: LevelSummary) -> float:
    assert level.client.cpu_us_per_token is not None
    return level.client.cpu_us_per_token


def compared(label: str, off: list[float], on: list[float], *, unit: str) -> float:
    """Print both medians and the median of the pairs' ratios, with the range that the pairs span."""
    ratios = [with_it / without for without, with_it in zip(off, on, strict=True)]
    median = statistics.median(ratios)
    print(
        f"{label:12} off {statistics.median(off):10.2f} {unit:6} on {statistics.median(on):10.2f} {unit:6}"
        f" on/off {median:.4f} (pairs {min(ratios):.4f} to {max(ratios):.4f})"
    )
    return median


def main(count: int, window_s: float) -> int:
    with tempfile.TemporaryDirectory() as name, ReferenceServer(Settings(ttft_s=TTFT_S, itl_s=ITL_S)) as server:
        folder = Path(name)
        found = asyncio.run(pairs(server.url, count=count, window_s=window_s, folder=folder))
        shares = [cpu_share(folder / f"pair{number}") for number in range(count)]
        missing = read_samples(folder / "pair0").missing
    off, on = zip(*found, strict=True)
    throughput = compared("throughput", [rate(one) for one in off], [rate(one) for one in on], unit="tok/s")
    compared("TTFT p50", [ttft_ms(one) for one in off], [ttft_ms(one) for one in on], unit="ms")
    compared("client CPU", [cpu_us(one) for one in off], [cpu_us(one) for one in on], unit="us/tok")
    share = statistics.median(shares)
    print(f"sampler      {60 * share:.3f} CPU seconds a minute, {share:.2%} of a core (most {max(shares):.2%})")
    for source, why in missing.items():
        if "." not in source:
            print(f"not sampled  {source}: {why}")
    return int(share > MOST_CPU_SHARE or throughput < LEAST_THROUGHPUT)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else 6, float(words[1]) if len(words) > 1 else 6.0))
