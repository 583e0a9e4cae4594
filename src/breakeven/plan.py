"""The plan: what to ask, of whom, how much; read and checked before anything is started."""

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from breakeven.errors import FieldError, UsageError, one_line
from breakeven.hidden import is_secret_name
from breakeven.serving import Hardware, Launch
from breakeven.units import exact, load_text

DEFAULT_USERS = (1, 5, 10, 50, 100)
LEAST_REQ_PER_S = 1e-3
"""The lowest rate, and the step in which rates are told apart: a level's files are named by three decimals of it."""
MOST_REQ_PER_S = 1e6
_DURATIONS = {
    "duration_s": False,
    "max_duration_s": False,
    "timeout_s": False,
    "ramp_s": True,
    "warmup_s": True,
    "think_s": True,
}
"""Durations of a plan, and whether zero makes sense."""
_OR_USERS = "or give --users, for whom only its lengths count"
_OF_SESSIONS = {
    "rate": "recorded sessions begin at their own times, or so many at once; give --users N, or leave --rate out",
    "requests": "recorded sessions end with their last turns; use --option max-sessions=N, or --duration",
    "think_s": "recorded sessions have pauses of their own; leave --think out; --option longest-pause-s=2 caps them",
}
"""What recorded sessions leave no room for, and what to do instead; at their recorded times also what a trace does."""
_OF_SESSIONS_ONCE = {
    "find_max": "a search may want more sessions at once than there are; give --duration too, and the file goes round",
    "auto": "it may want more sessions at once than there are; give --duration too, and the file goes round",
}
_SESSIONS_AT_TIMES = {
    "arrivals": "recorded sessions begin at times of their own; leave --arrivals out",
    "find_max": "recorded times are one load; give --users 1 to search from, so many sessions at once",
    "auto": "recorded times are one load; give --users LIST instead of auto, so many sessions at once",
    "ramp_s": "sessions are replayed as they were recorded; leave --ramp out, or give --users",
}
_OF_A_REPLAY = {
    "rate": "a trace has arrival times of its own; leave --rate out, and use --option speed=2 to replay it faster",
    "arrivals": "a trace has arrival times of its own; leave --arrivals out",
    "find_max": "a trace has one load, its own; give --users 1 to search from, for whom only its lengths count",
    "auto": "a trace that is replayed is one level; give --users LIST instead of auto, for whom only its lengths count",
    "requests": f"a trace ends with its last request; use --option max-requests=N, {_OR_USERS}",
    "think_s": f"nobody waits for an answer in a trace that is replayed; leave --think out, {_OR_USERS}",
    "ramp_s": f"a trace is replayed as it was recorded; leave --ramp out, {_OR_USERS}",
}
"""What a trace that is replayed leaves no room for, and what to do instead."""


_PAGE: Final = re.compile(r"https?://[^\s/@]+(/\S*)?")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OUR_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection", "accept-encoding"})
_SAID_ELSEWHERE: Final = {
    "model": "is given by --model",
    "messages": "are the workload's; see --workload and --file",
    "prompt": "is the workload's; see --workload and --file",
    "max_tokens": "is given by --output-tokens",
    "max_completion_tokens": "is given by --output-tokens, and sent where the server wants it so",
    "stream": "is always true: answers are timed as they come",
    "n": "is always 1: one answer of a request is timed",
    "best_of": "is always 1: one answer of a request is timed",
}
"""Fields that a body may not have, and why."""


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One run: an engine, a workload and its levels. None means: the default for this engine."""

    url: str | None = None
    """Base URL of a running server; None starts `engine`, or the embedded engine where none is named."""
    engine: str | None = None
    model: str | None = None
    """Name to ask for, or several with their shares, `a=0.7,b=0.3`; where the engine is started here, what it loads."""
    api: Literal["chat", "completions"] = "chat"
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    headers: dict[str, str] = {}
    """Sent with every request, in place of our own of that name."""
    headers_env: dict[str, str] = {}
    """Headers whose values the environment holds: name, and variable. The values are never stored."""
    proxy: str | None = None
    """Address of the HTTP proxy that requests go through."""
    body: dict[str, Any] = {}
    """Fields of every request beside those that workload and engine say, such as `temperature`."""
    users: tuple[int, ...] | None = None
    """Levels of a closed loop; None: DEFAULT_USERS, but traces and sessions are replayed by their arrival times."""
    auto: bool = False
    """Then measure the levels whose absence leaves most doubt, one by one."""
    rate: tuple[float, ...] | None = None
    """Levels of an open loop, in requests per second; they replace `users`."""
    arrivals: str | None = None
    """Of the open loop: constant, poisson (None), or gamma:CV with its coefficient of variation."""
    repeats: int = 1
    clients: str = "1"
    """Client processes that share the users: a number, or `ray:N` over a Ray cluster."""
    slo: str | None = None
    floors: tuple[float, ...] = ()
    """Of `auto`: speeds, tok/s a user on average, at which the throughput has to be known."""
    find_max: bool = False
    """Look for the highest number of users (or rate) that meets the SLO."""
    workload: str = "chat"
    input_tokens: int | str | None = None
    output_tokens: int | str | None = None
    file: str | None = None
    """The workload's file: a data set or a trace. Measured lengths are `input_tokens = "file:PATH"`."""
    options: dict[str, str] = {}
    """Further settings of the workload."""
    duration_s: float | None = None
    """Length of the window; None lets the stop rule decide."""
    requests: int | None = None
    max_duration_s: float | None = None
    precision: float = 0.05
    ramp_s: float | None = None
    warmup_s: float | None = None
    think_s: float = 0.0
    timeout_s: float = 600.0
    seed: int = 0
    name: str | None = None
    model_source: Literal["wheel", "hub"] = "wheel"
    """Where the embedded model is fetched from."""
    launch: Launch | None = None
    """How `engine` is started where there is no `url`; None: by its own command."""
    hardware: Hardware | None = None
    """What the engine is said to run on."""
    gpu_metrics: str | None = None
    """Address of the DCGM exporter, or AMD's, of the machine that the engine runs on."""
    gpu_labels: dict[str, str] = {}
    """Labels of that exporter's samples which the engine's GPUs have, such as `pod`."""
    engine_metrics: str | None = None
    """Address of the engine's Prometheus page, where it is not below `url`."""

    @property
    def is_embedded(self) -> bool:
        """The embedded engine is measured: no server is named, and no engine to start. It may be told settings.

        With a model, a GGUF file or a folder of them, it serves that; an engine that is named would serve it by itself.
        """
        is_bare = self.launch is None or self.launch == Launch(settings=self.launch.settings)
        known = (None, "llamacpp") if self.model is None else (None,)
        return self.url is None and is_bare and self.engine in known

    @property
    def models(self) -> tuple[tuple[str, float], ...]:
        """The models to ask for and their shares, which add up to 1; empty where none is named."""
        return () if self.model is None else model_shares(self.model)

    @property
    def user_levels(self) -> tuple[int, ...]:
        """Numbers of users of the closed loop's levels; of a search the first."""
        if self.users is None:
            return DEFAULT_USERS[:1] if self.find_max else DEFAULT_USERS
        return self.users

    @property
    def is_replay(self) -> bool:
        """Requests come when a recording says: one level. With `users` only the lengths of a trace count."""
        return self.workload in ("trace", "sessions") and self.users is None

    @property
    def plays_whole(self) -> bool:
        """A level ends with the last request of its file, and every one of them counts."""
        return self.is_replay or (self.workload == "sessions" and self.duration_s is None)

    @property
    def file_says_lengths(self) -> bool:
        """How long answers are stands in a file, so that no default takes its place."""
        return self.workload in ("trace", "sessions") or (
            self.workload == "lengths" and str(self.input_tokens).startswith("file:")
        )

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem is not None:
            raise problem


def _problem(plan: Plan) -> FieldError | None:
    """The first thing that cannot be, with its fields; None when all is well."""
    checks = (
        _bad_trace,
        _bad_sessions,
        _bad_load,
        _bad_end,
        _bad_number,
        _bad_models,
        _bad_headers,
        _bad_body,
        _bad_pages,
    )
    return _bad_users(plan.user_levels) or next(filter(None, (check(plan) for check in checks)), None)


def _bad_users(levels: tuple[int, ...]) -> FieldError | None:
    if not levels:
        return FieldError("give at least one level, such as --users 1,10,100", "users")
    for users in levels:
        if users < 1:
            return FieldError(f"{users} is no number of users; each level needs at least 1", "users")
    if len(set(levels)) < len(levels):
        return FieldError(f"{_first_repeat(levels)} stands twice; each level is measured once", "users")
    return None


def _bad_trace(plan: Plan) -> FieldError | None:
    if plan.workload != "trace":
        return None
    if plan.users is not None and "speed" in plan.options:
        return FieldError(
            "speed is that of arrival times, which do not count where --users are given; leave one out", "options"
        )
    for field, why in _OF_A_REPLAY.items():
        if getattr(plan, field) and (plan.is_replay or field == "rate"):
            return FieldError(why, field)
    return None


def _bad_sessions(plan: Plan) -> FieldError | None:
    if plan.workload != "sessions":
        return None
    once = _OF_SESSIONS_ONCE if plan.duration_s is None else {}
    at_times = _SESSIONS_AT_TIMES if plan.users is None else {}
    refused = _OF_SESSIONS | once | at_times
    return next((FieldError(why, field) for field, why in refused.items() if getattr(plan, field)), None)


def check_given(given: Mapping[str, Any]) -> None:
    """UsageError for fields that were given together though one would be left out; a plan's defaults hide that."""
    problem = None if given.get("workload") in ("trace", "sessions") else _bad_mix(given)
    if problem is not None:
        raise problem


def _bad_mix(given: Mapping[str, Any]) -> FieldError | None:
    if "users" in given and "rate" in given:
        return FieldError(
            "a level has so many users or so many requests a second; give one of the two", "users", "rate"
        )
    if "arrivals" in given and "rate" not in given:
        return FieldError("they are those of an open loop; give --rate too, or leave them out", "arrivals")
    if given.get("auto") and "rate" in given:
        return FieldError("auto chooses numbers of users, a rate has none; give one of the two", "auto", "rate")
    if given.get("auto") and given.get("find_max"):
        return FieldError("each chooses the levels in its own way; give one of the two", "auto", "find_max")
    if given.get("floors") and not given.get("auto"):
        return FieldError("it says at which speed auto looks for levels; give --users auto too", "floors")
    for name in ("users", "rate"):
        if given.get("find_max") and len(given.get(name, ())) > 1:
            first = exact(given[name][0])
            return FieldError(
                f"a search begins at one load and finds the others; give one, such as {first}", name, "find_max"
            )
    return None


def _bad_load(plan: Plan) -> FieldError | None:
    if plan.rate is not None and (problem := _bad_rate(plan.rate)) is not None:
        return problem
    if plan.rate is not None and plan.workload == "conversation":
        return FieldError(
            "a conversation goes on when it was answered, so it has no rate of its own; use --users", "rate"
        )
    if plan.repeats < 1:
        return FieldError(f"{plan.repeats} is too few; give at least 1", "repeats")
    for floor in plan.floors:
        if not (math.isfinite(floor) and floor > 0):
            return FieldError(f"{exact(floor)} is no speed; give tok/s a user above 0, such as --floor 25,50", "floors")
    if plan.find_max and plan.slo is None:
        return FieldError("it needs limits to meet; give --slo, such as --slo ttft_p99=2s,tpot_p99=100ms", "find_max")
    return None


def _bad_rate(rates: tuple[float, ...]) -> FieldError | None:
    if not rates:
        return FieldError("give requests per second, such as --rate 5 or --rate 1,2,4,8", "rate")
    for rate in rates:
        if not LEAST_REQ_PER_S <= rate <= MOST_REQ_PER_S:
            return FieldError(
                f"{exact(rate)} req/s cannot be offered; give {LEAST_REQ_PER_S:g} to {MOST_REQ_PER_S:.0f} of them",
                "rate",
            )
    told_apart = tuple(round(rate, 3) for rate in rates)
    if len(set(told_apart)) < len(rates):
        return FieldError(
            f"{exact(_first_repeat(told_apart))} stands twice; rates are told apart by three decimals, and each level "
            "is measured once",
            "rate",
        )
    return None


def _bad_end(plan: Plan) -> FieldError | None:
    if plan.rate is not None and plan.requests is not None:
        return FieldError("an open loop ends by time; use --duration", "requests", "rate")
    if plan.duration_s is not None and plan.requests is not None:
        return FieldError("a level ends by time or by count; give one of the two", "duration_s", "requests")
    most = plan.user_levels[0] if plan.find_max else max(plan.user_levels)
    if plan.requests is not None and plan.requests < 2 * most:
        whom = load_text(most, None)
        return FieldError(f"{plan.requests} is less than two for each of {whom}; give at least {2 * most}", "requests")
    if not 0 < plan.precision < 1:
        return FieldError(f"{plan.precision} is not between 0 and 1; 0.05 stands for 5 %", "precision")
    return None


def _bad_number(plan: Plan) -> FieldError | None:
    for name in ("input_tokens", "output_tokens"):
        value = getattr(plan, name)
        if isinstance(value, int) and value < 1:
            return FieldError(f"{value} is too few; give at least 1", name)
    for name, may_be_zero in _DURATIONS.items():
        value = getattr(plan, name)
        if value is not None and not (math.isfinite(value) and (value > 0 or (may_be_zero and value == 0))):
            return FieldError(f"{value} s is not a length of time that can be waited for", name)
    return None


def model_shares(text: str) -> tuple[tuple[str, float], ...]:
    """`a=0.7,b=0.3` as names and shares of 1; whatever else it is, the text is the name of one model."""
    parts = [part.strip().rpartition("=") for part in text.split(",")]
    try:
        shares = [(name, float(share)) for name, _, share in parts]
    except ValueError:
        return ((text, 1.0),)
    if len(parts) < 2 or not all(name for name, _ in shares):
        return ((text, 1.0),)
    total = sum(share for _, share in shares)
    return tuple((name, share / total if total else 0.0) for name, share in shares)


def _bad_models(plan: Plan) -> FieldError | None:
    names = [name for name, _ in plan.models]
    if any(not share > 0 for _, share in plan.models):
        return FieldError(f"every share is more than 0, such as a=0.7,b=0.3, not {plan.model}", "model")
    if len(set(names)) < len(names):
        return FieldError("a name stands twice; give each model one share", "model")
    if len(names) > 1 and plan.url is None:
        return FieldError("several models are asked of a server that runs; give --url, or one model to start", "model")
    return None


def _bad_headers(plan: Plan) -> FieldError | None:
    for field, table in (("headers", plan.headers), ("headers_env", plan.headers_env)):
        for name, value in table.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OUR_HEADERS:
                return FieldError(f"'{one_line(name, limit=40)}' is no header that can be added", field)
            if not (value.isascii() and value.isprintable()):
                return FieldError(f"the value of {name} holds characters that no HTTP header may have", field)
    secret = next((name for name in plan.headers if is_secret_name(name)), None)
    if secret is None:
        return None
    todo = f"put it into a variable: --header-env {secret}=VARIABLE"
    return FieldError(f"{secret} would be stored with the run; {todo}", "headers")


def _bad_pages(plan: Plan) -> FieldError | None:
    for field in ("gpu_metrics", "engine_metrics"):
        address = getattr(plan, field)
        if address is not None and not _PAGE.fullmatch(address):
            return FieldError(f"'{one_line(address, limit=60)}' is no address such as http://node:9400/metrics", field)
    if plan.gpu_labels and plan.gpu_metrics is None:
        return FieldError("labels choose among the GPUs of an exporter; name it by --gpu-metrics", "gpu_labels")
    return None


def _bad_body(plan: Plan) -> FieldError | None:
    for name, value in plan.body.items():
        if name in _SAID_ELSEWHERE:
            return FieldError(f"{name} {_SAID_ELSEWHERE[name]}", "body")
        if is_secret_name(name):
            todo = "keys go into headers, by --api-key-env or --header-env"
            return FieldError(f"{name} would be stored with the run; {todo}", "body")
        if _holds_none(value):
            return FieldError(f"{name} holds null, which a plan file cannot; leave the field out", "body")
    return None


def _holds_none(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return value is None or any(map(_holds_none, inner))


def _first_repeat(values: tuple[float, ...]) -> float:
    return next(value for index, value in enumerate(values) if value in values[:index])


def read_plan(text: str, *, where: str) -> Plan:
    """Read a plan from TOML; UsageError with file, field and what was expected."""
    try:
        return msgspec.convert(tomllib.loads(text), Plan)
    except RecursionError:
        raise UsageError(f"{where}: nested too deeply") from None
    except (ValueError, UsageError) as error:  # of TOML, of msgspec, and of a number with thousands of digits
        raise UsageError(f"{where}: {one_line(str(error), limit=600)}") from None


def plan_table(plan: Plan) -> dict[str, Any]:
    """The plan as a TOML table; defaults and None are left out."""
    table: dict[str, Any] = msgspec.to_builtins(plan)
    return {key: value for key, value in table.items() if value is not None}
