"""A set of results that may be given away: no node can be named by it, and a card says what it is."""

import csv
import hashlib
import hmac
import io
import secrets
from importlib import resources
from typing import Any, Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from breakeven import __version__
from breakeven.fleet.medians import group_medians
from breakeven.fleet.rows import Codes, Rows, codes_of, pick
from breakeven.fleet.scores import Scores, Stratum, scores
from breakeven.fleet.table import to_parquet

FEWEST_NODES: Final = 5
"""Nodes that a group of one market, GPU, model and template must have to be told of."""
KEY_VARIABLE: Final = "BREAKEVEN_PUBLISH_KEY"
"""With the same key in it a node has the same name in the next data set; without it the key is made and forgotten."""
DIGITS: Final = 12
DAY_S: Final = 86_400.0
_LEFT_OUT: Final = ("card", "driver", "cpu", "reason", "card_name", "place")
"""Texts that the node, or its machine, chose."""
_TIMES: Final = ("started_s", "submitted_s", "ended_s")
AGGREGATES: Final = "aggregates.csv"
RECORDS: Final = "jobs-00001.parquet"
CARD: Final = "README.md"
COLUMNS: Final = {
    "market": "as the operator calls it",
    "gpu": "the card, as its driver names it: a key of breakeven's table of GPUs",
    "model": "as the job called it",
    "template": "the uniform job",
    "users": "users at once",
    "counted": "what rates count: tokens or words",
    "nodes": "nodes with a rate at this number of users",
    "jobs": "their jobs with one",
    "failed_jobs": "their jobs of which this level failed",
    "output_per_s_p25": "quartile over nodes, each with the median of its jobs; counted things a second",
    "output_per_s_p50": "the median of the same",
    "output_per_s_p75": "the upper quartile of the same",
    "sd_log_between_nodes": "sd of log speed between nodes over all levels, of the bulk within three robust sd",
    "power_w_p50": "median over nodes of the boards' mean power, W",
    "ttft_s_p50": "median over nodes of their median time to first token, s",
    "tpot_s_p50": "median over nodes of their median time per output token, s",
}
"""Columns of AGGREGATES."""


class Published(Struct, frozen=True, kw_only=True):
    """What is given away, and what is not."""

    files: dict[str, bytes]
    nodes: int
    jobs: int
    groups: int
    left_out_groups: int
    left_out_nodes: int
    left_out_jobs: int
    """Of those groups, and jobs without any rate."""


def published(rows: Rows, *, licence: str, title: str, day: str, records: bool, key: str | None) -> Published:
    """The files: aggregates, the jobs where `records` asks for them, and the data card."""
    scored = scores(rows)
    told = np.array([stratum.nodes >= FEWEST_NODES for stratum in scored.strata], dtype=np.bool_)
    known = scored.row_of_job >= 0
    kept = known & _of_rows(told[scored.stratum], scored.row_of_job, known)
    lines = [
        line
        for place, stratum in enumerate(scored.strata)
        if told[place]
        for line in _aggregates(rows, scored, place, stratum)
    ]
    files = {AGGREGATES: _csv(lines)}
    if records:
        files[RECORDS] = to_parquet(_nameless(pick(rows, kept), key=key or secrets.token_hex(32)))
    nodes = len(np.unique(rows.node.codes[kept]))
    found = Published(
        files=files,
        nodes=nodes,
        jobs=int(kept.sum()),
        groups=int(told.sum()),
        left_out_groups=int((~told).sum()),
        left_out_nodes=len(np.unique(rows.node.codes[rows.node.codes >= 0])) - nodes,
        left_out_jobs=int((~kept).sum()),
    )
    card = _card(found, licence=licence, title=title, day=day, has_key=key is not None)
    return replace(found, files=files | {CARD: card.encode()})


def _of_rows(values: NDArray[np.bool_], row_of_job: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = np.zeros(len(row_of_job), dtype=np.bool_)
    found[known] = values[row_of_job[known]]
    return found


def _aggregates(rows: Rows, scored: Scores, place: int, stratum: Stratum) -> list[dict[str, Any]]:
    """One line for each number of users at which enough nodes have a rate."""
    mine = np.flatnonzero(scored.stratum == place)
    number = np.full(len(scored.stratum), -1, dtype=np.int64)
    number[mine] = np.arange(len(mine))
    jobs = np.flatnonzero(scored.row_of_job >= 0)
    jobs = jobs[number[scored.row_of_job[jobs]] >= 0]
    node = number[scored.row_of_job[jobs]]
    lines = []
    for column, users in enumerate(rows.users):
        rates = rows.output_tok_per_s[jobs, column]
        of_nodes = group_medians(rates, node, count=len(mine))
        of_nodes = of_nodes[np.isfinite(of_nodes)]
        if len(of_nodes) < FEWEST_NODES:
            continue
        quartiles = np.percentile(of_nodes, (25, 50, 75))
        line = {
            "market": stratum.market,
            "gpu": stratum.gpu,
            "model": stratum.model,
            "template": stratum.template,
            "users": users,
            "counted": stratum.counted,
            "nodes": len(of_nodes),
            "jobs": int(np.isfinite(rates).sum()),
            "failed_jobs": int((rows.tried[jobs, column] & ~np.isfinite(rates)).sum()),
            "sd_log_between_nodes": _rounded(stratum.sd_log),
        }
        line |= {f"output_per_s_p{name}": _rounded(value) for name, value in zip((25, 50, 75), quartiles, strict=True)}
        for name, levels in (("power_w", "power_mean_w"), ("ttft_s", "ttft_p50_s"), ("tpot_s", "tpot_p50_s")):
            values = group_medians(getattr(rows, levels)[jobs, column], node, count=len(mine))
            values = values[np.isfinite(values)]
            line[f"{name}_p50"] = _rounded(float(np.median(values))) if len(values) >= FEWEST_NODES else None
        lines.append(line)
    return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _csv(lines: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()


def _nameless(rows: Rows, *, key: str) -> Rows:
    """The jobs with keyed hashes for names, days for times, short prices, and no word of their machines' choice."""
    nothing = Codes(np.full(len(rows), -1, dtype=np.int32), ())
    changed: dict[str, Any] = dict.fromkeys(_LEFT_OUT, nothing)
    changed |= {name: np.floor(getattr(rows, name) / DAY_S) * DAY_S for name in _TIMES}
    changed["usd_per_h"] = _two_digits(rows.usd_per_h)
    used, codes = np.unique(rows.node.codes, return_inverse=True)
    names = codes_of([_hash(rows.node.names[code], key=key, kind="node") for code in used.tolist()])
    order = np.array(names.codes, dtype=np.int32)
    changed["node"] = Codes(order[codes], names.names)
    ids = [_hash(name.decode(errors="replace"), key=key, kind="job") for name in rows.id.tolist()]
    changed["id"] = np.array(ids, dtype=np.bytes_)
    changed["digest"] = np.zeros(len(rows), dtype=np.uint64)
    shuffled = np.argsort(changed["id"], kind="stable")  # the order of the jobs tells nothing either
    return pick(replace(rows, **changed), shuffled)


def _two_digits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A price that was converted from a token dates its job to the minute: only its size is told."""
    used, codes = np.unique(values, return_inverse=True)
    return np.array([float(f"{value:.2g}") for value in used.tolist()], dtype=np.float64)[codes]


def _hash(name: str, *, key: str, kind: str) -> str:
    return kind[0] + hmac.new(key.encode(), f"{kind} {name}".encode(), hashlib.sha256).hexdigest()[:DIGITS]


def _card(found: Published, *, licence: str, title: str, day: str, has_key: bool) -> str:
    """The data card: what it is, how it was measured, what was done to it, its columns."""
    key = (
        "the operator keeps the key, so that names stay the same in the next data set"
        if has_key
        else "the key was forgotten, so that nobody can make them again"
    )
    left_out = ", ".join(f"`{name}`" for name in _LEFT_OUT)
    return _text("card.md").format(
        title=title,
        licence=licence,
        day=day,
        version=__version__,
        fewest=FEWEST_NODES,
        columns="\n".join(f"| `{name}` | {what} |" for name, what in COLUMNS.items()),
        records=_text("card_records.md").format(key=key, left_out=left_out) if RECORDS in found.files else "",
        **{name: getattr(found, name) for name in found.__struct_fields__ if name != "files"},
    )


def _text(name: str) -> str:
    return resources.files("breakeven.fleet").joinpath(name).read_text(encoding="utf-8")
