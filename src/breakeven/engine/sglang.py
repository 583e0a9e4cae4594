"""SGLang: what it adds to the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import OpenAI, Options


class Sglang(OpenAI):
    """`python3 -m sglang.launch_server`. Options read from release 0.5.23; its `/metrics` has to be switched on."""

    name = "sglang"
    owned_by = "sglang"
    health_path = "/health"
    version_path = "/server_info"
    metrics_path = "/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "sglang:num_running_reqs",
        "waiting_requests": "sglang:num_queue_reqs",
        "kv_use_share": "sglang:token_usage",
        "preemptions": "sglang:num_retracted_requests_total",
        "generated_tokens": "sglang:generation_tokens_total",
        "cache_asked_tokens": "sglang:prompt_tokens_total",
        "cache_hit_tokens": "sglang:cached_tokens_total",
        "accept_length": "sglang:spec_accept_length",
    }
    gauges_age_s = 1.0
    """It writes them when it has taken prompts, as they were before, and each 40 steps, here taken as 25 ms each."""
    request_fields = frozenset({"stream_options", "ignore_eos", "min_tokens"})
    exact_length_body: ClassVar[Mapping[str, object]] = {"ignore_eos": True}
    tokenize_path = "/tokenize"
    tokenize_field = "prompt"
    tokenize_body: ClassVar[Mapping[str, object]] = {"add_special_tokens": False}
    command = ("python3", "-m", "sglang.launch_server")
    distribution = "sglang"
    options = Options(
        model="--model-path",
        served_name="--served-model-name",
        tensor_parallel="--tp-size",
        context_tokens="--context-length",
        max_batch="--max-running-requests",
        dtype="--dtype",
        quantization="--quantization",
        caching_on=(),
        caching_off=("--disable-radix-cache",),
    )
    always = ("--enable-metrics",)
    gpu_factors = ("pp_size", "pipeline_parallel_size")
    default_port = 30000
    hub_access_env = "HF_TOKEN"
    image = "lmsysorg/sglang:latest"
    docker_args = ("--gpus", "all", "--ipc=host")
