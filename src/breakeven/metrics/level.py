"""The summary of one level: which request enters which number, by docs/METRICS.md."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from breakeven.errorkinds import kind_of
from breakeven.metrics.arrivals import Arrivals
from breakeven.metrics.definitions import METRICS, Metric, reasoning_tokens
from breakeven.metrics.failures import failures, kinds_in
from breakeven.metrics.sessions import session_records
from breakeven.metrics.speed import Speed, speed
from breakeven.metrics.statistics import Cumulative, Floats, cumulative, distribution, inverted, rate_estimate, sections
from breakeven.metrics.steady import steady_from_s
from breakeven.metrics.summary import (
    ClientSummary,
    Distribution,
    Estimate,
    LevelSummary,
)
from breakeven.record import ClientFacts, LevelFacts, Record


def is_timeout(record: Record) -> bool:
    """It was given up on after `--timeout`: an error that ranks as +infinity, not one that is left out."""
    return record.error is not None and kind_of(record.error).ranks_last


MOVABLE: Final = ("precision", "max")
"""Ways of stopping in which the window was ours to choose. Not so `slo`: all since it opened counted."""


class Window:
    """The steady window of a level and the requests that belong to it: the one place where the window is decided.

    It closes when the load closed it. It opens when the load opened it, or later, where nobody asked for a length and
    the throughput settled later (metrics.steady).
    """

    def __init__(self, facts: LevelFacts, records: Sequence[Record]) -> None:
        assert facts.open_s is not None
        assert facts.close_s is not None
        self.open_s, self.close_s = facts.open_s, facts.close_s
        self._records = records
        if facts.stopped in MOVABLE:
            self.open_s = settled_s(facts, self.arrivals)
        self.due = self.all_due = self.due_of(records)
        self.ended = self.all_ended = self.ended_of(records)
        sessions = session_records(facts, records)
        self.stays = sessions or records
        """What users are there for: the recorded sessions that they play, else their requests."""
        self.plays_sessions = bool(facts.session_turns)
        self.sessions = [one for one in sessions if one.measured or self._ends(one)]
        """Recorded sessions that ended in the window, or of those played once all; a turn of each was seen there."""
        if facts.measured_requests is not None:
            self.due = self.ended = [record for record in records if record.measured]

    @property
    def length_s(self) -> float:
        return self.close_s - self.open_s

    @functools.cached_property
    def arrivals(self) -> Arrivals:
        """What arrived, of the whole level."""
        return Arrivals(self._records)

    @functools.cached_property
    def speed(self) -> Speed | None:
        """The machine's own speed."""
        return speed(self.arrivals.by, self._records, open_s=self.open_s, close_s=self.close_s)

    @property
    def widening(self) -> float:
        """Of the intervals of percentiles, for how long the speed remembers."""
        return 1.0 if self.speed is None else self.speed.widening()

    def due_of(self, records: Sequence[Record]) -> list[Record]:
        """Those that were due in it."""
        return [record for record in records if self.open_s <= record.due_s < self.close_s]

    def ended_of(self, records: Sequence[Record]) -> list[Record]:
        """Those that ended in it."""
        return [record for record in records if self._ends(record)]

    def _ends(self, record: Record) -> bool:
        return self.open_s < record.end_s <= self.close_s

    def at_s(self, record: Record, metric: Metric) -> float:
        """When a request counts in a metric: when it was due or when it ended; of a given number of them, when due."""
        return record.due_s if metric.over == "due" or record.measured else record.end_s

    def answers(self) -> list[Record]:
        """Requests that came to an end in the window, each user's first answer excluded."""
        return done(self.ended)


def window_of(facts: LevelFacts, records: Sequence[Record]) -> Window | None:
    """The window of a level; None where none was opened."""
    if facts.open_s is None or facts.close_s is None or facts.close_s <= facts.open_s:
        return None
    return Window(facts, records)


def done(ended: Sequence[Record]) -> list[Record]:
    """Of what ended, requests or sessions, that with a good end; each user's first answer excluded."""
    return [record for record in ended if record.k > 0 and record.status == "done"]


def given_up(ended: Sequence[Record]) -> list[Record]:
    """Of what ended, that which was given up after `--timeout`."""
    return [record for record in ended if record.k > 0 and is_timeout(record)]


def settled_s(facts: LevelFacts, arrivals: Arrivals) -> float:
    """When the throughput had settled: when the window opened, or later. A trace never settles and need not."""
    assert facts.open_s is not None
    assert facts.close_s is not None
    if facts.arrivals == "trace":
        return facts.open_s
    return steady_from_s(arrivals.by, start_s=facts.start_s, open_s=facts.open_s, close_s=facts.close_s)


def summarise_level(facts: LevelFacts, records: Sequence[Record], *, window: Window | None = None) -> LevelSummary:
    """Everything that is derived from the records of one level, cautions excepted; `window` where it is known."""
    counts: dict[str, Any] = {
        "users": facts.users,
        "req_per_s_offered": facts.req_per_s_offered,
        "repeat": facts.repeat,
        "status": facts.status,
        "stopped": facts.stopped,
        "settle_s": facts.settle_s,
        "cut": sum(record.status == "cut" for record in records),
        "errors": sum(record.status == "error" for record in records),
        "errors_by_kind": dict(kinds_in(records)),
        "reconnects": sum(record.reconnected for record in records),
    }
    window = window or window_of(facts, records)
    if window is None:
        return LevelSummary(**counts, steady=False, extra=failures(records))
    arrivals = window.arrivals
    return LevelSummary(
        **counts,
        window_s=window.length_s,
        warm_up_s=window.open_s - facts.start_s,
        requests=len(window.answers()),
        **_tokens(arrivals, window),
        distributions=_distributions(arrivals, window),
        client=_client(facts, arrivals, window),
        extra={
            **facts.extra,
            "warm_up_by": facts.warm_up_by,
            **clocks(facts.clients),
            **failures(records),
            **session_figures(window),
            "reasoning_token_share": reasoning_share(window.answers()),
            "estimated_token_share": estimated_share(arrivals, window),
        },
    )


def session_figures(window: Window) -> dict[str, float]:
    """How many recorded sessions came to a good end, how many failed, and what of the prompts was shared and cached.

    Shares are of the prompt tokens of the window's answers: those that the workload had at the start of an earlier
    prompt, and those that the engine says it took from its cache. Empty where no sessions were played.
    """
    if not window.plays_sessions:
        return {}
    failed = sum(one.status == "error" for one in window.sessions)
    found: dict[str, float | None] = {
        "sessions": len(done(window.sessions)),
        "sessions_failed": failed,
        "shared_input_share": input_share(window.answers(), lambda record: record.asked_shared_tokens),
        "cached_input_share": input_share(window.answers(), lambda record: record.cached_tokens),
    }
    return {name: value for name, value in found.items() if value is not None}


def input_share(answers: Sequence[Record], of: Callable[[Record], int | None]) -> float | None:
    """Such tokens over the prompt tokens of the answers that tell both; None where none does."""
    told = [
        (part, record.input_tokens) for record in answers if record.input_tokens and (part := of(record)) is not None
    ]
    return sum(part for part, _ in told) / sum(tokens for _, tokens in told) if told else None


def _tokens(arrivals: Arrivals, window: Window) -> dict[str, Any]:
    """Tokens by arrival inside the window, and the rates."""
    has_inputs = not _no_inputs(window.answers())
    ends_s = np.array([record.end_s for record in window.all_ended if record.k and record.status == "done"])

    def both(at_s: Floats) -> Floats:
        return arrivals.by(at_s) + arrivals.inputs_by(at_s)

    return {
        "output_tokens": round(_inside(arrivals.by, window)),
        "input_tokens": round(_inside(arrivals.inputs_by, window)) if has_inputs else None,
        "tokens_from": arrivals.tokens_from,
        "output_tok_per_s": _rate(arrivals.by, window),
        "total_tok_per_s": _rate(both, window) if has_inputs else Estimate(),
        "req_per_s": _rate(cumulative(ends_s, np.ones(len(ends_s))), window),
    }


def reasoning_share(answers: Sequence[Record]) -> float | None:
    """Share of the answers' output tokens that was reasoning; None where there was none."""
    tokens = sum(record.output_tokens or 0 for record in answers)
    return sum(map(reasoning_tokens, answers)) / tokens or None if tokens else None


def estimated_share(arrivals: Arrivals, window: Window) -> float | None:
    """Share of the window's output tokens that no server counted; None where no token arrived."""
    tokens = _inside(arrivals.by, window)
    return _inside(arrivals.estimated_by, window) / tokens if tokens else None


def _no_inputs(answers: Sequence[Record]) -> bool:
    return all(record.input_tokens is None and record.asked_input_tokens is None for record in answers)


def _inside(by: Cumulative, window: Window) -> float:
    first, last = by(np.array([window.open_s, window.close_s]))
    return float(last - first)


def _rate(by: Cumulative, window: Window) -> Estimate:
    return rate_estimate(by, open_s=window.open_s, close_s=window.close_s)


def _distributions(arrivals: Arrivals, window: Window) -> dict[str, Distribution]:
    """Every row of METRICS."""
    found = {name: _distribution(metric, arrivals, window) for name, metric in METRICS.items()}
    turned = {name: metric.inverse_of for name, metric in METRICS.items() if metric.inverse_of is not None}
    return found | {name: inverted(found[base], mean=found[name].mean) for name, base in turned.items()}


def _distribution(metric: Metric, arrivals: Arrivals, window: Window) -> Distribution:
    """Over what the row says; a timeout ranks last where it says so."""
    if metric.over == "gaps":
        gaps_s = arrivals.gaps_s(open_s=window.open_s, close_s=window.close_s)
        return gaps_s._replace(widening=window.widening).distribution()
    if metric.over == "due":
        return _over_due(metric, window)
    ended = window.sessions if metric.over == "sessions" else window.ended
    return _of_records(metric, window, done(ended), waited=given_up(ended) if metric.ranks_late else ())


def _over_due(metric: Metric, window: Window) -> Distribution:
    """A timeout ranks last, also where a first chunk had come, which is then all that bounds it; other errors are out.

    So does what had no first chunk when it ended or was cut.
    """
    if not metric.ranks_late:
        return _of_records(metric, window, window.due)
    kept = [record for record in window.due if record.status != "error"]
    silent = [record for record in kept if metric.of(record) is None]
    waited = [record for record in window.due if is_timeout(record)]
    waited += [record for record in silent if record.status != "cut"]
    return _of_records(metric, window, kept, waited=waited, cut=[one for one in silent if one.status == "cut"])


def _of_records(
    metric: Metric,
    window: Window,
    records: Sequence[Record],
    *,
    waited: Sequence[Record] = (),
    cut: Sequence[Record] = (),
) -> Distribution:
    """The metric's values, and of those that never came how long at least they took."""
    known = [(value, record) for record in records if (value := metric.of(record)) is not None]
    at_s = [window.at_s(record, metric) for record in (*(record for _, record in known), *waited, *cut)]
    return distribution(
        [value for value, _ in known],
        waited=[_least_s(metric, record) for record in waited],
        cut=[_age_s(record) for record in cut],
        within=sections(at_s, open_s=window.open_s, close_s=window.close_s),
        widening=window.widening,
    )


def _least_s(metric: Metric, record: Record) -> float:
    """What a request took at least that was given up on."""
    seen = metric.of(record) if metric.over == "due" else None
    return _age_s(record) if seen is None else seen


def _age_s(record: Record) -> float:
    return record.end_s - record.due_s


def _client(facts: LevelFacts, arrivals: Arrivals, window: Window) -> ClientSummary:
    """What the instrument cost. With several client processes: their sum, and the worst lag of any."""
    if not facts.clients:
        return ClientSummary()
    tokens = _inside(arrivals.by, window)
    shares = sum(client.cpu_s / client.window_s for client in facts.clients)
    schedule_lags = [lag_s for client in facts.clients if (lag_s := client.schedule_lag_p99_s) is not None]
    return ClientSummary(
        cpu_us_per_token=shares * window.length_s * 1e6 / tokens if tokens else None,
        cpu_share=max(client.cpu_s / client.window_s for client in facts.clients),
        lag_p99_s=max(client.lag_p99_s for client in facts.clients),
        schedule_lag_p99_s=max(schedule_lags) if schedule_lags else None,
        kernel_stamped=_kernel_stamped(facts.clients),
    )


def clocks(clients: Sequence[ClientFacts]) -> dict[str, float | None]:
    """On how many nodes of a cluster clients ran, and the worst of their clocks; empty where all ran here."""
    nodes = {client.node for client in clients if client.node is not None}
    if not nodes:
        return {}
    drifts_s = [abs(client.clock_drift_s) for client in clients if client.clock_drift_s is not None]
    return {
        "client_nodes": len(nodes),
        "clock_offset_s": max(abs(client.clock_offset_s or 0.0) for client in clients),
        "clock_doubt_s": max(client.clock_doubt_s or 0.0 for client in clients),
        "clock_drift_s": max(drifts_s, default=None),
    }


def _kernel_stamped(clients: Sequence[ClientFacts]) -> float | None:
    """1 - reads with a stamp of our own / reads; None where they were not counted."""
    own = [client.own_stamps for client in clients]
    reads = sum(client.reads for client in clients)
    return 1 - sum(filter(None, own)) / reads if reads and None not in own else None
