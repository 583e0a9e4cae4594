"""llama.cpp: what it adds to the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import IMAGE_HOME, EngineSettings, OpenAI, Options


class Llamacpp(OpenAI):
    """`llama-server`, and the embedded engine, which is the same server in another program.

    It ignores `min_tokens` without a word, answers to any model name, and shares its context out over its slots.
    """

    name = "llamacpp"
    owned_by = "llamacpp"
    health_path = "/health"
    version_path = "/props"
    version_field = "build_info"
    metrics_path = "/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "llamacpp:requests_processing",
        "waiting_requests": "llamacpp:requests_deferred",
        "generated_tokens": "llamacpp:tokens_predicted_total",
    }
    request_fields = frozenset({"stream_options", "ignore_eos"})
    exact_length_body: ClassVar[Mapping[str, object]] = {"ignore_eos": True}
    tokenize_path = "/tokenize"
    tokenize_field = "content"
    tokenize_body: ClassVar[Mapping[str, object]] = {"add_special": False}
    command = ("llama-server",)
    options = Options(
        served_name="--alias",
        context_tokens="--ctx-size",
        max_batch="--parallel",
        caching_on=(),
        caching_off=("--no-cache-prompt", "--cache-ram", "0"),
    )
    always = ("--metrics",)
    says_no = True
    default_port = 8080
    hub_access_env = "HF_TOKEN"
    image = "ghcr.io/ggml-org/llama.cpp:server-cuda"
    image_cache = ("~/.cache/llama.cpp", f"{IMAGE_HOME}/.cache/llama.cpp")
    image_takes = "arguments"

    @classmethod
    def _model_words(cls, model: str) -> list[str]:
        """A file by its path, anything else as a repository of the hub."""
        return ["--model" if model.endswith(".gguf") else "--hf-repo", model]

    @classmethod
    def _setting_words(cls, told: EngineSettings) -> list[str]:
        """`--ctx-size` is for all slots together, so it is said as context times slots."""
        words = super()._setting_words(told)
        if told.context_tokens is not None and told.max_batch is not None:
            words[words.index("--ctx-size") + 1] = str(told.context_tokens * told.max_batch)
        return words
