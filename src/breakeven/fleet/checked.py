"""What of a job is believed: a result that cannot be so is refused, one that is odd is kept and marked; both are told.

Everything that a node says is a claim. Who answers for which job, when it was handed out and when it came back is the
operator's own record, and what the node says is held against that.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from breakeven.errors import one_line
from breakeven.fleet.job import OVER, Job
from breakeven.fleet.proof import verify
from breakeven.fleet.result import Card, Level, NodeResult, Proof
from breakeven.fleet.rows import FIGURES, LEVELS
from breakeven.hardware import key_of, may_mean, of_size
from breakeven.metrics.telemetry import POWER_CAPS, THERMAL
from breakeven.units import moment, unix_s

REFUSALS: Final[dict[str, str]] = {
    "unreadable": "it is no job or result of this form",
    "not_over": "it is not over yet: import the folder again when it is",
    "other_job": "its result names another job",
    "other_template": "its result is of another template than was handed out",
    "replay": "its levels are those of another job, to the last digit: one measurement told twice",
    "longer_than_out": "it says that it took longer than the job was out, by the operator's clock",
    "windows_too_long": "its measured windows are longer than the whole job",
    "out_of_range": "a figure is beyond what any machine of today could reach",
    "too_many_users": "it brings more numbers of users than a set may have",
}
"""Why a job is not taken into a set."""

MARKS: Final[dict[str, str]] = {
    "started_in_future": "by its own clock it started after it was imported",
    "started_before_submission": "by its own clock it started before it was submitted",
    "no_start": "it does not say when it started, in a form that can be read",
    "rate_not_of_its_tokens": "a throughput is not its tokens divided by its window",
    "interval_beside_rate": "the interval of a throughput does not hold it",
    "other_seed": "its proof of work is of another seed than was handed out",
    "wrong_proof": "its proof of work is wrong",
    "unchecked_proof": "its proof of work was too large to be checked on the way; --check-proofs checks it",
    "card_twice": "it names one card twice",
    "card_of_another_node": "a job of another node named the same card",
    "no_price": "its price was 0, which is taken as not known",
}
"""What is odd about a job that is kept."""

SMALL_PROOF: Final = 8192
"""Rows of a proof that is checked on the way into a set, in about 2 s; the work grows with their square."""
CLOCK_SLACK_S: Final = 300.0
"""Clocks of two machines may differ by so much."""
OUT_SLACK: Final = 1.05
OUT_SLACK_S: Final = 60.0
TOKENS_SLACK: Final = 0.05
"""A throughput and its tokens / its window may differ by so much."""

_TOP: Final[dict[str, float]] = {
    "usd_per_h": 1e5,
    "wall_s": 3.2e7,
    "cards": 1024,
    "memory_bytes": 1e14,
    "power_limit_w": 1e5,
    "default_power_limit_w": 1e5,
    "sm_clock_max_mhz": 1e5,
    "sm_clock_mean_mhz": 1e5,
    "memory_clock_max_mhz": 1e5,
    "memory_clock_mean_mhz": 1e5,
    "temperature_max_c": 300,
    "utilisation_share": 1,
    "thermal_share": 1,
    "power_cap_share": 1,
    "proof_is_right": 1,
    "bench_bytes_per_s": 1e15,
    "bench_flop_per_s": 1e19,
    "download_bit_per_s": 1e14,
    "output_tok_per_s": 1e8,
    "power_mean_w": 1e7,
    "level_temperature_max_c": 300,
    "level_clock_mean_mhz": 1e5,
    "level_utilisation_share": 1.001,
}
"""The largest value of a figure; of others 1e18. The least is 0, of temperatures -50."""
_NO_TOP: Final = 1e18
_COLDEST_C: Final = -50.0


class Refused(NamedTuple):
    """A job that is not taken in."""

    job: str
    why: str
    """A row of REFUSALS."""
    detail: str = ""


Told = dict[str, Any]
"""A job as `make_rows` takes it."""


def from_job(job: Job, *, now_s: float, largest_proof: int = SMALL_PROOF) -> Told | Refused:
    """A job of the operator's record with what its node said. Proofs of at most `largest_proof` rows are checked."""
    result = job.result
    if job.outcome not in OVER:
        return Refused(job.id, "not_over")
    if result is not None and result.job != job.id:
        return Refused(job.id, "other_job", one_line(result.job, limit=64))
    if result is not None and result.template != job.template:
        return Refused(job.id, "other_template", one_line(result.template, limit=64))
    told: Told = {"id": job.id, "levels": {}, "marks": [], "counted": "tokens", "outcome": job.outcome}
    told |= {name: _line(getattr(job, name)) for name in ("template", "market", "node", "place", "reason")}
    told |= {"usd_per_h": job.usd_per_h}
    told |= {"submitted_s": seconds(job.submitted), "ended_s": seconds(job.ended)}
    if result is not None:
        told |= _of_result(result)
        if result.proof is not None:
            mark = _proof_mark(result.proof, job.seed, largest=largest_proof)
            told["marks"] += [mark] if mark else []
            told["proof_is_right"] = None if mark == "unchecked_proof" else float(mark is None)
    told["gpu"] = gpu_of(job.gpu or told.get("card_name"), told.get("memory_bytes") if job.gpu is None else None)
    return checked(told, now_s=now_s)


def _proof_mark(proof: Proof, seed: str, *, largest: int) -> str | None:
    """A row of MARKS; None where the proof is right."""
    if proof.seed != seed:
        return "other_seed"
    if proof.size > largest:
        return "unchecked_proof"
    return None if verify(proof, seed) is None else "wrong_proof"


def _of_result(result: NodeResult) -> Told:
    told: Told = {
        "outcome": result.outcome,
        "reason": _line(result.reason),
        "model": _line(result.model),
        "engine": _line(" ".join(filter(None, (result.engine, result.engine_version)))),
        "cpu": _line(result.cpu),
        "started_s": seconds(result.started),
        "wall_s": result.wall_s,
        "cards": len(result.cards) or None,
        "levels": {level.users: _of_level(level) for level in result.levels},
        "marks": [],
    }
    if result.cards:
        told |= _of_cards(result.cards)
        told["marks"] += _twice(result.cards)
    if result.bench is not None:
        told |= {
            "bench_bytes_per_s": result.bench.memory_bytes_per_s,
            "bench_flop_per_s": result.bench.flop_per_s,
            "download_bit_per_s": result.bench.download_bit_per_s,
        }
    if result.proof is not None:
        told |= {
            "proof_time_s": result.proof.time_s,
            "proof_size": result.proof.size,
        }
    return told


def _of_level(level: Level) -> dict[str, float | None]:
    told: dict[str, float | None] = {
        name: getattr(level, name) for name in LEVELS if name in Level.__struct_fields__ and name != "ci95"
    }
    low, high = level.ci95
    return told | {"ci95_low": low, "ci95_high": high, "level_temperature_max_c": level.temperature_max_c}


def _of_cards(cards: tuple[Card, ...]) -> Told:
    """The weakest of the cards: one slow card slows the node."""

    def least(name: str) -> float | None:
        return min((value for card in cards if (value := getattr(card, name)) is not None), default=None)

    names = ("memory_bytes", "power_limit_w", "default_power_limit_w", "sm_clock_max_mhz", "sm_clock_mean_mhz")
    told: Told = {name: least(name) for name in (*names, "memory_clock_max_mhz", "memory_clock_mean_mhz")}
    hottest = [card.temperature_max_c for card in cards if card.temperature_max_c is not None]
    reasons = [card.throttle_share for card in cards if card.throttle_share is not None]
    return told | {
        "card_name": _line(cards[0].name),
        "card": cards[0].uuid_sha256,
        "driver": _line(cards[0].driver),
        "utilisation_share": least("utilisation_mean_share"),
        "temperature_max_c": max(hottest, default=None),
        "thermal_share": _most(reasons, THERMAL),
        "power_cap_share": _most(reasons, POWER_CAPS),
    }


def _most(reasons: list[dict[str, float]], names: Any) -> float | None:
    return max((share.get(name, 0.0) for share in reasons for name in names), default=None)


def _twice(cards: tuple[Card, ...]) -> list[str]:
    known = [card.uuid_sha256 for card in cards if card.uuid_sha256 is not None]
    return ["card_twice"] if len(set(known)) < len(known) else []


def checked(told: Told, *, now_s: float) -> Told | Refused:
    """Held against what can be; a level without a rate, or with a rate of 0, has failed."""
    wrong = _out_of_range(told)
    if wrong is not None:
        return Refused(told["id"], "out_of_range", wrong)
    wall_s, out_s = told.get("wall_s"), _difference(told.get("ended_s"), told.get("submitted_s"))
    if wall_s is not None and out_s is not None and wall_s > max(out_s, 0) * OUT_SLACK + OUT_SLACK_S:
        return Refused(told["id"], "longer_than_out", f"{wall_s:.0f} s of {out_s:.0f} s")
    windows_s = sum(level.get("window_s") or 0.0 for level in told["levels"].values())
    if wall_s is not None and windows_s > wall_s * OUT_SLACK + OUT_SLACK_S:
        return Refused(told["id"], "windows_too_long", f"{windows_s:.0f} s of {wall_s:.0f} s")
    marks = [*told["marks"], *_clock_marks(told, now_s), *_level_marks(told["levels"])]
    if told.get("usd_per_h") == 0:
        told["usd_per_h"] = None
        marks.append("no_price")
    for level in told["levels"].values():
        if not level.get("output_tok_per_s"):
            level.update(dict.fromkeys(level, None))
    told["marks"] = " ".join(dict.fromkeys(marks)) or None
    told["digest"] = digest_of(told)
    return told


def _out_of_range(told: Told) -> str | None:
    for name in FIGURES:
        value = told.get(name)
        if value is not None and not _fits(name, value):
            return f"{name} {value:g}"
    for users, level in told["levels"].items():
        for name, value in level.items():
            if value is not None and not _fits(name, value):
                return f"{name} {value:g} at {users} users"
    return None


def _fits(name: str, value: float) -> bool:
    least = _COLDEST_C if "temperature" in name else 0.0
    return math.isfinite(value) and least <= value <= _TOP.get(name, _NO_TOP)


def _clock_marks(told: Told, now_s: float) -> list[str]:
    started_s, submitted_s = told.get("started_s"), told.get("submitted_s")
    found = ["started_in_future"] if started_s is not None and started_s > now_s + CLOCK_SLACK_S else []
    if started_s is not None and submitted_s is not None and started_s < submitted_s - CLOCK_SLACK_S:
        found.append("started_before_submission")
    if "started_s" in told and started_s is None:
        found.append("no_start")
    return found


def _level_marks(levels: Mapping[int, Mapping[str, float | None]]) -> list[str]:
    found = []
    for level in levels.values():
        rate, tokens, window_s = (level.get(name) for name in ("output_tok_per_s", "output_tokens", "window_s"))
        if rate and tokens is not None and window_s and abs(tokens / window_s / rate - 1) > TOKENS_SLACK:
            found.append("rate_not_of_its_tokens")
        low, high = level.get("ci95_low"), level.get("ci95_high")
        if rate and ((low is not None and low > rate) or (high is not None and high < rate)):
            found.append("interval_beside_rate")
    return found


def digest_of(told: Told) -> int:
    """64 bits of SHA-256 over the levels; of the name of a job that measured none: it is like no other."""
    measured = {n: level for n, level in told["levels"].items() if level.get("output_tok_per_s")}
    body = sorted((n, sorted(level.items())) for n, level in measured.items()) or told["id"]
    return int.from_bytes(hashlib.sha256(msgspec.json.encode(body)).digest()[:8], "big")


def gpu_of(name: str | None, memory_bytes: float | None = None) -> str | None:
    """Key of the card where the table knows it, else its name; memory tells one of 40 GB from one of 80."""
    if name is None:
        return None
    found = may_mean(name)
    fits = of_size(found, memory_bytes / 1e9) if memory_bytes and len(found) > 1 else ()
    return key_of(fits or found) or _line(name)


def seconds(text: str | None) -> float | None:
    """Seconds since 1970 of an ISO 8601 time with a zone; None for anything else."""
    found = moment(text)
    return None if found is None or found.tzinfo is None else unix_s(found)


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _line(text: str | None) -> str | None:
    return one_line(text, limit=200) or None if text else None
