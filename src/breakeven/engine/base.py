"""What an engine adapter says: only where the engine differs from the plain OpenAI API."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from breakeven.errors import UsageError
from breakeven.serving import EngineSettings as EngineSettings
from breakeven.serving import Setting

ROLES: Final = {
    "running_requests": "requests at work",
    "waiting_requests": "requests in the queue",
    "kv_use_share": "share of the key-value cache in use, 0 to 1",
    "preemptions": "counter: requests put back for want of cache",
    "generated_tokens": "counter: tokens made",
    "cache_asked_tokens": "counter: prompt tokens that the prefix cache was asked for",
    "cache_hit_tokens": "counter: those of them that it had",
    "drafts": "counter: times that a draft was made",
    "drafted_tokens": "counter: tokens of drafts",
    "accepted_tokens": "counter: those of them that were kept",
    "accept_length": "tokens that a step gives with speculation, where the engine tells them itself",
}
"""What an engine may tell in its Prometheus text; read once a second (telemetry/scrape.py)."""
IMAGE_HOME: Final = "/root"
"""Home of the user that the engines' images run as."""


class Options(Struct, frozen=True, kw_only=True):
    """How an engine says each setting on its command line. None: it cannot."""

    model: str | None = None
    """None: the model is a word of its own, right after the command."""
    host: str | None = "--host"
    port: str | None = "--port"
    served_name: str | None = None
    tensor_parallel: str | None = None
    context_tokens: str | None = None
    max_batch: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    caching_on: tuple[str, ...] | None = None
    """Nothing to say (an empty tuple) where the engine does it by itself."""
    caching_off: tuple[str, ...] | None = None


class OpenAI:
    """Any server that speaks the OpenAI API; every other adapter changes what is different."""

    name: ClassVar[str] = "openai"
    owned_by: ClassVar[str | None] = None
    """What the engine calls itself as the owner of a model in `/v1/models`."""

    health_path: ClassVar[str | None] = None
    """Answers 200 when the engine can serve; None: `/v1/models` is asked."""
    version_path: ClassVar[str | None] = None
    version_field: ClassVar[str] = "version"

    metrics_path: ClassVar[str | None] = None
    """Prometheus text; None: there is none."""
    metrics: ClassVar[Mapping[str, str]] = {}
    """Names of its samples by our ROLES."""
    gauges_age_s: ClassVar[float] = 0.0
    """How old the value of a gauge may be when it is read; 0: it is of the moment."""
    running_metrics: ClassVar[tuple[str, ...]] = ()
    """Names in `/metrics` whose sum is the number of requests at work or waiting: made of the two above."""

    request_fields: ClassVar[frozenset[str]] = frozenset({"stream_options"})
    """Of `stream_options`, `ignore_eos` and `min_tokens`: the fields that the engine takes and obeys."""
    exact_length_body: ClassVar[Mapping[str, object]] = {}
    """Fields added to a request whose answer shall have exactly `max_tokens` tokens; empty: cannot be promised."""

    tokenize_path: ClassVar[str | None] = None
    tokenize_field: ClassVar[str | None] = None
    """Field of the `/tokenize` request that takes the text; None: there is no such endpoint."""
    tokenize_body: ClassVar[Mapping[str, object]] = {}
    """Further fields, so that no special tokens are counted."""

    command: ClassVar[tuple[str, ...]] = ()
    """Starts the engine, which ends by TERM; empty: it is not ours to start."""
    options: ClassVar[Options] = Options()
    says_no: ClassVar[bool] = False
    """`--no-NAME` turns a switch off; else one that is off is left out."""
    always: ClassVar[tuple[str, ...]] = ()
    """Words that the engine needs to be measured at all, such as the switch of its `/metrics`."""
    default_port: ClassVar[int] = 8000
    hub_access_env: ClassVar[str | None] = None
    """Name of the environment variable by which the engine gets at gated models; its value is never ours."""

    gpu_factors: ClassVar[tuple[str, ...]] = ()
    """Options of its own that multiply the GPUs of `tensor_parallel`."""

    image: ClassVar[str | None] = None
    image_takes: ClassVar[Literal["entrypoint", "command", "arguments"]] = "entrypoint"
    """What is said to the image: its entry point anew, the whole command, or only what follows the command."""
    docker_args: ClassVar[tuple[str, ...]] = ("--gpus", "all")
    image_cache: ClassVar[tuple[str, str]] = ("~/.cache/huggingface", f"{IMAGE_HOME}/.cache/huggingface")
    """Where models are kept here, and where the image looks for them."""
    distribution: ClassVar[str | None] = None
    """Python package that the command belongs to; None: it is a program that is asked for its version itself."""

    def __init_subclass__(cls) -> None:
        busy = ("running_requests", "waiting_requests")
        cls.running_metrics = tuple(cls.metrics[role] for role in busy if role in cls.metrics)

    @classmethod
    def argv(cls, model: str, *, port: int, settings: EngineSettings | None = None) -> list[str]:
        """Command line that serves `model` on `port`; UsageError for a setting that the engine does not know."""
        told = settings or EngineSettings()
        if not cls.command:
            raise UsageError(f"engine '{cls.name}' is a server that runs already; give its URL")
        return [
            *cls.command,
            *cls._model_words(model),
            *_words(cls.options.host, told.host),
            *_words(cls.options.port, port),
            *cls._setting_words(told),
            *(word for name, value in told.options.items() for word in cls._own_words(name, value)),
            *cls.always,
            *told.extra,
        ]

    @classmethod
    def gpus_each(cls, settings: EngineSettings) -> int:
        """GPUs that one engine takes: `tensor_parallel` times those of its own options that multiply it."""
        own = (settings.options.get(name) for name in cls.gpu_factors)
        return math.prod((settings.tensor_parallel or 1, *(one for one in own if isinstance(one, int) and one > 1)))

    @classmethod
    def gpus_in_all(cls, settings: EngineSettings) -> int:
        """GPUs that all replicas take together."""
        return (settings.replicas or 1) * cls.gpus_each(settings)

    @classmethod
    def environment(cls, *, port: int, settings: EngineSettings | None = None) -> dict[str, str]:
        """Environment variables that say what the command line cannot."""
        del port, settings
        return {}

    @classmethod
    def docker_argv(
        cls,
        model: str,
        *,
        port: int,
        settings: EngineSettings | None = None,
        mounts: Sequence[str] = (),
        image: str | None = None,
        docker_args: Sequence[str] | None = None,
        container: str | None = None,
        env: Sequence[str] = (),
    ) -> list[str]:
        """Command line that serves `model` in the engine's container, its port on this machine's loopback only.

        `mounts` are docker's `--volume` values, `env` its `--env` values. Access to gated models goes in by the name
        of its variable only. `image` and `docker_args` None: the engine's own. `container` names it.
        """
        image = image or cls.image
        if image is None:
            raise UsageError(f"engine '{cls.name}' has no container image; name one, or start it without docker")
        inside = msgspec.structs.replace(settings or EngineSettings(), host="0.0.0.0")
        words = cls.argv(model, port=port, settings=inside)
        variables = [f"{name}={value}" for name, value in cls.environment(port=port, settings=inside).items()]
        return [
            *("docker", "run", "--rm", *(("--name", container) if container else ())),
            *(cls.docker_args if docker_args is None else docker_args),
            *("--publish", f"127.0.0.1:{port}:{port}"),
            *(word for mount in mounts for word in ("--volume", mount)),
            *(
                word
                for each in dict.fromkeys((*((cls.hub_access_env,) if cls.hub_access_env else ()), *variables, *env))
                for word in ("--env", each)
            ),
            *(("--entrypoint", words[0]) if cls.image_takes == "entrypoint" else ()),
            image,
            *cls.image_words(words),
        ]

    @classmethod
    def image_words(cls, words: Sequence[str]) -> list[str]:
        """What is said to the image of the command line `words`, after the entry point where that is said too."""
        return list(words[{"entrypoint": 1, "command": 0, "arguments": len(cls.command)}[cls.image_takes] :])

    @classmethod
    def version_in(cls, reply: object) -> str | None:
        """The engine's version in the JSON that `version_path` gave; None where it is not there."""
        found = reply.get(cls.version_field) if isinstance(reply, dict) else None
        return found if isinstance(found, str) else None

    @classmethod
    def tokens_in(cls, reply: object) -> int | None:
        """The number of tokens in the JSON that `tokenize_path` gave; None where it says none."""
        if isinstance(reply, list):
            return len(reply)
        if not isinstance(reply, dict):
            return None
        found: Any = next((reply[key] for key in ("count", "length", "tokens", "input_ids") if key in reply), None)
        return len(found) if isinstance(found, list) else found if isinstance(found, int) else None

    @classmethod
    def _model_words(cls, model: str) -> list[str]:
        return [model] if cls.options.model is None else [cls.options.model, model]

    @classmethod
    def _setting_words(cls, told: EngineSettings) -> list[str]:
        words: list[str] = []
        for field in ("served_name", "tensor_parallel", "context_tokens", "max_batch", "dtype", "quantization"):
            value = getattr(told, field)
            if value is not None:
                words += _words(cls._option(field), value)
        if told.prefix_caching is not None:
            words += cls._caching_words(on=told.prefix_caching)
        return words

    @classmethod
    def _own_words(cls, name: str, value: Setting) -> list[str]:
        """An option of the engine's own: `kv_cache_dtype` is `--kv-cache-dtype`; a switch has no value."""
        dashed = name.replace("_", "-")
        if value is False:
            return [f"--no-{dashed}"] if cls.says_no else []
        return [f"--{dashed}"] if value is True else [f"--{dashed}", str(value)]

    @classmethod
    def _option(cls, field: str) -> str:
        option: str | None = getattr(cls.options, field)
        if option is None:
            raise cls._cannot_say(field)
        return option

    @classmethod
    def _caching_words(cls, *, on: bool) -> tuple[str, ...]:
        words = cls.options.caching_on if on else cls.options.caching_off
        if words is None:
            raise cls._cannot_say("prefix_caching")
        return words

    @classmethod
    def _cannot_say(cls, field: str) -> UsageError:
        return UsageError(
            f"{field}: the command line of engine '{cls.name}' has no option for it; leave it out, or use `extra`"
        )


def _words(option: str | None, value: object) -> list[str]:
    return [] if option is None else [option, str(value)]
