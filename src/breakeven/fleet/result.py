"""What one node says of itself: the line BENCH_RESULT, written by the node and read as untrusted input."""

import hashlib
import hmac
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from breakeven.errors import UsageError, one_line, uncoloured

MARK: Final = "BENCH_RESULT"
LARGEST_BYTES: Final = 64 * 1024
_HELD: Final = re.compile(rf"(?<![\w`'\"]){MARK}\s*\{{.*")
KEY_VARIABLE: Final = "BREAKEVEN_RESULT_KEY"
"""The environment variable with the key that signs a node's line, and that checks it."""

Text = Annotated[str, Meta(max_length=200)]
Word = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/+-]*$")]
Amount = Annotated[float, Meta(ge=0, le=1e18)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Path = Annotated[tuple[Hash, ...], Meta(max_length=20)]


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One GPU of the node, as its driver tells of it; figures are of the measured windows."""

    index: Annotated[int, Meta(ge=0, le=1023)]
    name: Text
    uuid_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")] | None = None
    """The beginning of the UUID's SHA-256: enough to see that it is the same card."""
    memory_bytes: Amount | None = None
    driver: Text | None = None
    power_limit_w: Amount | None = None
    default_power_limit_w: Amount | None = None
    sm_clock_max_mhz: Amount | None = None
    sm_clock_mean_mhz: Amount | None = None
    memory_clock_max_mhz: Amount | None = None
    memory_clock_mean_mhz: Amount | None = None
    power_mean_w: Amount | None = None
    temperature_max_c: Annotated[float, Meta(ge=-50, le=300)] | None = None
    utilisation_mean_share: Share | None = None
    throttle_share: Annotated[dict[Word, Share], Meta(max_length=16)] | None = None
    """Share of the windows for each reason that was seen."""


class Proof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A timed matrix product whose answer depends on a seed that was given at submission (fleet/proof.py)."""

    seed: Annotated[str, Meta(max_length=64)]
    answer: Annotated[str, Meta(pattern=r"^[0-9a-f]{16,64}$")]
    size: Annotated[int, Meta(ge=1, le=2**24)]
    """Rows and columns of the matrices; three of them in fp32 are held at once."""
    time_s: Amount
    device: Text
    """`cuda:0 NVIDIA GeForce RTX 4090`, or `cpu` and the processor's name."""
    paths: Annotated[tuple[Path, ...], Meta(max_length=16)] = ()
    """For each row that the answer asks for, the hashes beside its way up to the answer."""


class Bench(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the node reached without an engine."""

    memory_bytes_per_s: Amount | None = None
    """Reading and writing of a large copy on the device."""
    flop_per_s: Amount | None = None
    """2 n³ / time of the fastest matrix product."""
    precision: Word | None = None
    """Of that product: `fp32`, `bf16`, `fp16`."""
    download_bit_per_s: Amount | None = None
    device: Text | None = None


class Level(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number of users; the words and definitions of METRICS.md. Undefined is None."""

    users: Annotated[int, Meta(ge=1, le=10**6)]
    output_tok_per_s: Amount | None
    ci95: tuple[Amount | None, Amount | None] = (None, None)
    window_s: Amount | None = None
    done: Count = 0
    failed: Count = 0
    output_tokens: Count | None = None
    ttft_p50_s: Amount | None = None
    ttft_p95_s: Amount | None = None
    tpot_p50_s: Amount | None = None
    tpot_p95_s: Amount | None = None
    e2e_p50_s: Amount | None = None
    e2e_p95_s: Amount | None = None
    power_mean_w: Amount | None = None
    """Sum over the boards."""
    energy_j: Amount | None = None
    temperature_mean_c: Annotated[float, Meta(ge=-50, le=300)] | None = None
    """Over the boards."""
    temperature_max_c: Annotated[float, Meta(ge=-50, le=300)] | None = None
    cautions: Annotated[tuple[Word, ...], Meta(max_length=64)] = ()
    """Ids of the cautions that stand beside the level."""


class NodeResult(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a node says. Which node, market and price it is belongs to the operator's own record (fleet/job.py)."""

    version: Literal[1] = 1
    breakeven: Word
    """Version of the program."""
    template: Word
    """Name of the uniform job: results of different templates are never compared."""
    job: Word
    """The operator's name of this job, given at submission; it answers for replays."""
    started: Annotated[str, Meta(max_length=40)]
    """ISO 8601 with zone, by the node's clock."""
    wall_s: Amount
    """How long the job took."""
    outcome: Literal["done", "partial", "failed"]
    """`partial`: levels are missing, as the time limit came; `failed`: none was measured."""
    reason: Text | None = None
    """Why it is not `done`, or what is missing beside the levels, in one line."""
    model: Text | None = None
    engine: Text | None = None
    engine_version: Text | None = None
    workload: Text | None = None
    cpu: Text | None = None
    cores: Annotated[int, Meta(ge=1, le=10**5)] | None = None
    memory_bytes: Amount | None = None
    cards: Annotated[tuple[Card, ...], Meta(max_length=64)] = ()
    levels: Annotated[tuple[Level, ...], Meta(max_length=64)] = ()
    bench: Bench | None = None
    proof: Proof | None = None
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    """HMAC-SHA256 of the line without it, under the operator's key."""


def result_line(result: NodeResult, *, key: str | None = None) -> str:
    """`BENCH_RESULT {json}`, signed where there is a key.

    ValueError where it is longer than LARGEST_BYTES: the node leaves cautions out and tries again.
    """
    body = msgspec.json.encode(result)
    if key is not None and len(body) <= LARGEST_BYTES:
        # over what will be read: a whole number where a fraction may stand is written otherwise then
        read = msgspec.json.decode(body, type=NodeResult)
        body = msgspec.json.encode(replace(read, signature=_signature(read, key)))
    if len(body) > LARGEST_BYTES:
        raise ValueError(f"the result has {len(body)} bytes, {LARGEST_BYTES} are allowed")
    return f"{MARK} {body.decode()}"


def read_result(line: str, *, key: str | None = None) -> NodeResult:
    """The result in a line of a node's output. UsageError says what is wrong with it.

    Everything in it is a claim: sizes, ranges and types are checked here, foreign text is made safe to show. With a key
    the signature must be there and right.
    """
    body = line.strip().removeprefix(MARK).strip().encode(errors="replace")
    if len(body) > LARGEST_BYTES:
        raise UsageError(f"{MARK}: {len(body)} bytes, where {LARGEST_BYTES} are allowed")
    try:
        result = msgspec.json.decode(body, type=NodeResult)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"{MARK}: {one_line(str(error))}") from None
    _check_numbers(result)
    if key is not None and not hmac.compare_digest(result.signature or "", _signature(result, key)):
        raise UsageError(f"{MARK} of {result.job}: {'wrong' if result.signature else 'no'} signature")
    safe: NodeResult = _safe(result)
    return safe


def find_result(output: str) -> str | None:
    """The last line of a node's output that holds a result, without what a grid wrote before it; None where none does.

    A grid may colour the line and begin it with the job's name: SkyPilot writes `(JOB, pid=12) BENCH_RESULT {…}`.
    """
    lines = [uncoloured(line) for line in output.splitlines() if MARK in line]
    found = [at for line in lines if (at := _HELD.search(line))]
    return found[-1].group() if found else None


def _signature(result: NodeResult, key: str) -> str:
    body = msgspec.json.encode(replace(result, signature=None))
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _check_numbers(result: NodeResult) -> None:
    users = [level.users for level in result.levels]
    if len(set(users)) < len(users):
        raise UsageError(f"{MARK}: two levels of {next(n for n in users if users.count(n) > 1)} users")
    if any(not math.isfinite(value) for value in _floats(msgspec.to_builtins(result))):
        raise UsageError(f"{MARK}: a figure that is no number")


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _floats(inner)


def _safe(value: Any) -> Any:
    """The same with every foreign text on one line."""
    if isinstance(value, str):
        return one_line(value, limit=200)
    if isinstance(value, Struct):
        return replace(value, **{name: _safe(getattr(value, name)) for name in value.__struct_fields__})
    if isinstance(value, tuple):
        return tuple(_safe(inner) for inner in value)
    return value
