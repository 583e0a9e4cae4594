"""Many jobs as columns: what every statistic of a fleet reads, a million jobs in well under 2 GB.

A column of texts is Codes: one number a job into a list of names, -1 where nothing was said. A column of figures is one
float a job, a column of levels one float a job and number of users. In these arrays NaN stands for undefined.
"""

import typing
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

Figures = NDArray[np.float64]
"""One figure a job."""
Levels = NDArray[np.float32]
"""One figure a job (first axis) and number of users (second, as in `Rows.users`)."""
Ids = NDArray[np.bytes_]
Mask = NDArray[np.bool_]
Picked = NDArray[np.int64] | Mask


class Codes(NamedTuple):
    """Texts of which many are the same."""

    codes: NDArray[np.int32]
    """A job's place in `names`; -1: nothing was said."""
    names: tuple[str, ...]
    """Each once; not every one need be used."""

    def at(self, job: int) -> str | None:
        """The text of one job."""
        code = int(self.codes[job])
        return None if code < 0 else self.names[code]

    def code(self, name: str) -> int:
        """The number of a name; -2, which no job has, where none is called so."""
        return self.names.index(name) if name in self.names else -2

    def is_in(self, *names: str) -> Mask:
        """The jobs with one of these texts."""
        return np.isin(self.codes, [self.code(name) for name in names])


class Rows(Struct, frozen=True, kw_only=True, eq=False):
    """A table of jobs. Figures of several cards of one node: the lowest clock, limit, memory and utilisation, the
    highest temperature and throttling, the sum of the watts.
    """

    users: tuple[int, ...]
    """Numbers of users, rising: the second axis of all levels."""

    id: Ids
    """The operator's name of the job, each once."""
    digest: NDArray[np.uint64]
    """Of what the job said, without its name: two jobs with one digest are one measurement told twice."""

    node: Codes
    market: Codes
    gpu: Codes
    """The card that the node claims: a key of the table of GPUs where it is known."""
    card_name: Codes
    """What the driver of its first card calls itself."""
    card: Codes
    """The beginning of the SHA-256 of the first card's UUID."""
    model: Codes
    template: Codes
    """The uniform job: results of different templates are never compared."""
    counted: Codes
    """What its rates count: `tokens` or `words`."""
    engine: Codes
    """Name and version."""
    driver: Codes
    cpu: Codes
    place: Codes
    outcome: Codes
    """A row of OUTCOMES (fleet/job.py), or `partial` where some levels are missing."""
    reason: Codes
    """Why it is not `done`, in one line."""
    marks: Codes
    """Names of what import found odd (fleet/checked.py), with spaces between; they stay beside the job."""

    usd_per_h: Figures
    """What the operator pays for the whole node."""
    started_s: Figures
    """Seconds since 1970, by the node's clock."""
    submitted_s: Figures
    """The same by the operator's clock; so is `ended_s`."""
    ended_s: Figures
    wall_s: Figures
    cards: Figures
    """How many the node has."""
    memory_bytes: Figures
    """Of a card."""
    power_limit_w: Figures
    default_power_limit_w: Figures
    sm_clock_max_mhz: Figures
    sm_clock_mean_mhz: Figures
    memory_clock_max_mhz: Figures
    memory_clock_mean_mhz: Figures
    temperature_max_c: Figures
    utilisation_share: Figures
    thermal_share: Figures
    """Share of the windows in which heat held a card down."""
    power_cap_share: Figures
    """Share of the windows in which its power limit did."""
    proof_time_s: Figures
    proof_size: Figures
    proof_is_right: Figures
    """1: the answer was worked out again and is right; 0: wrong; undefined: not checked."""
    bench_bytes_per_s: Figures
    """Memory bandwidth that the node reached without an engine."""
    bench_flop_per_s: Figures
    download_bit_per_s: Figures

    tried: NDArray[np.bool_]
    """The job has this level; where `output_tok_per_s` is undefined too, the level failed."""
    output_tok_per_s: Levels
    ci95_low: Levels
    ci95_high: Levels
    done: Levels
    """Requests that ended well in the window."""
    failed: Levels
    """Requests that failed."""
    window_s: Levels
    output_tokens: Levels
    ttft_p50_s: Levels
    ttft_p95_s: Levels
    tpot_p50_s: Levels
    tpot_p95_s: Levels
    e2e_p50_s: Levels
    e2e_p95_s: Levels
    power_mean_w: Levels
    """Sum over the boards."""
    energy_j: Levels
    level_temperature_max_c: Levels
    level_clock_mean_mhz: Levels
    level_utilisation_share: Levels

    def __len__(self) -> int:
        return len(self.id)


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(name for name, found in typing.get_type_hints(Rows).items() if found == kind)


TEXTS: Final = _fields(Codes)
FIGURES: Final = _fields(Figures)
LEVELS: Final = _fields(Levels)
"""Names of the columns of each kind; `id`, `digest` and `tried` stand alone."""
_BY_JOB: Final = ("id", "digest", "tried", *FIGURES, *LEVELS)


def codes_of(texts: Sequence[str | None]) -> Codes:
    """Codes of a column of texts; names in the order in which they come."""
    known: dict[str, int] = {}
    codes = [-1 if text is None else known.setdefault(text, len(known)) for text in texts]
    return Codes(np.array(codes, dtype=np.int32), tuple(known))


def pick(rows: Rows, which: Picked) -> Rows:
    """The jobs of a mask, or those at these places in their order. Names of texts stay, used or not."""
    changed: dict[str, Any] = {name: getattr(rows, name)[which] for name in _BY_JOB}
    changed |= {name: getattr(rows, name)._replace(codes=getattr(rows, name).codes[which]) for name in TEXTS}
    return replace(rows, **changed)


def joined(parts: Sequence[Rows]) -> Rows:
    """All jobs of several tables, one after the other."""
    if len(parts) == 1:
        return parts[0]
    users = tuple(sorted({n for part in parts for n in part.users}))
    columns: dict[str, Any] = {name: _whole([getattr(part, name) for part in parts]) for name in ("id", "digest")}
    columns |= {name: _whole([getattr(part, name) for part in parts]) for name in FIGURES}
    columns |= {name: _joined_codes([getattr(part, name) for part in parts]) for name in TEXTS}
    columns |= {
        name: _whole([spread_out(getattr(part, name), part.users, users) for part in parts])
        for name in ("tried", *LEVELS)
    }
    return Rows(users=users, **columns)


def spread_out(levels: Any, users: Sequence[int], wanted: Sequence[int]) -> Any:
    """Levels of some numbers of users as levels of more of them; what was not asked for is undefined, or not tried."""
    if tuple(users) == tuple(wanted):
        return levels
    found = np.full((len(levels), len(wanted)), False if levels.dtype == np.bool_ else np.nan, dtype=levels.dtype)
    found[:, np.searchsorted(wanted, users)] = levels
    return found


def _whole(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if parts else np.empty(0)


def _joined_codes(parts: Sequence[Codes]) -> Codes:
    known: dict[str, int] = {}
    found = []
    for part in parts:
        new = np.array([known.setdefault(name, len(known)) for name in part.names] + [-1], dtype=np.int32)
        found.append(new[part.codes])  # -1 reads the last
    return Codes(_whole(found), tuple(known))


def make_rows(jobs: Sequence[typing.Mapping[str, Any]], *, users: Sequence[int]) -> Rows:
    """A table of jobs that are told one by one: texts and figures by name, levels as `{users: {name: figure}}` under
    `levels`. What a job does not tell is undefined; a level without a rate is one that failed.
    """
    count, wanted = len(jobs), tuple(sorted(users))
    place = {n: i for i, n in enumerate(wanted)}
    columns: dict[str, Any] = {
        "id": np.array([job["id"] for job in jobs], dtype=np.bytes_),
        "digest": np.array([job["digest"] for job in jobs], dtype=np.uint64),
        "tried": np.zeros((count, len(wanted)), dtype=np.bool_),
    }
    columns |= {name: codes_of([job.get(name) for job in jobs]) for name in TEXTS}
    columns |= {name: np.array([_or_nan(job.get(name)) for job in jobs], dtype=np.float64) for name in FIGURES}
    columns |= {name: np.full((count, len(wanted)), np.nan, dtype=np.float32) for name in LEVELS}
    for i, job in enumerate(jobs):
        for n, level in job["levels"].items():
            columns["tried"][i, place[n]] = True
            for name, value in level.items():
                columns[name][i, place[n]] = _or_nan(value)
    return Rows(users=wanted, **columns)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
