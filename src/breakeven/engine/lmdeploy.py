"""LMDeploy: what it adds to the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import OpenAI, Options


class Lmdeploy(OpenAI):
    """`lmdeploy serve api_server`, release 0.18; it needs a GPU.

    It knows `min_new_tokens` for chat only and passes over `min_tokens`; `ignore_eos` does for both.
    """

    name = "lmdeploy"
    owned_by = "lmdeploy"
    health_path = "/health"
    metrics_path = "/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "lmdeploy:num_requests_running",
        "waiting_requests": "lmdeploy:num_requests_waiting",
        "kv_use_share": "lmdeploy:gpu_cache_usage_perc",
        "generated_tokens": "lmdeploy:generation_tokens_total",
    }
    gauges_age_s = 11.0
    """It writes them 10 s after the last time was done (api_server.py, `log_interval`), whatever happens between."""
    request_fields = frozenset({"stream_options", "ignore_eos"})
    exact_length_body: ClassVar[Mapping[str, object]] = {"ignore_eos": True}
    tokenize_path = "/v1/encode"
    tokenize_field = "input"
    tokenize_body: ClassVar[Mapping[str, object]] = {"add_bos": False}
    command = ("lmdeploy", "serve", "api_server")
    distribution = "lmdeploy"
    options = Options(
        host="--server-name",
        port="--server-port",
        served_name="--model-name",
        tensor_parallel="--tp",
        context_tokens="--session-len",
        max_batch="--max-batch-size",
        dtype="--dtype",
        quantization="--model-format",
        caching_on=("--enable-prefix-caching",),
        caching_off=(),
    )
    default_port = 23333
    hub_access_env = "HF_TOKEN"
    image = "openmmlab/lmdeploy:latest"
    docker_args = ("--gpus", "all", "--ipc=host")
