"""TensorRT-LLM: what it adds to the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import OpenAI, Options


class Trtllm(OpenAI):
    """`trtllm-serve`. Options read from its commands/serve.py.

    Its Prometheus text is there only with `return_perf_metrics: true` in a settings file (`--config`, by `extra`);
    `/metrics` is JSON of another kind. Precision and prefix caching are said in that file too.
    """

    name = "trtllm"
    owned_by = "tensorrt_llm"
    health_path = "/health"
    version_path = "/version"
    metrics_path = "/prometheus/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "trtllm_num_requests_running",
        "waiting_requests": "trtllm_num_requests_waiting",
        "kv_use_share": "trtllm_kv_cache_utilization",
    }
    request_fields = frozenset({"stream_options", "ignore_eos", "min_tokens"})
    exact_length_body: ClassVar[Mapping[str, object]] = {"ignore_eos": True}
    command = ("trtllm-serve",)
    distribution = "tensorrt_llm"
    options = Options(
        tensor_parallel="--tp_size",
        context_tokens="--max_seq_len",
        max_batch="--max_batch_size",
    )
    default_port = 8000
    hub_access_env = "HF_TOKEN"
    image = "nvcr.io/nvidia/tensorrt-llm/release:latest"
    image_takes = "command"
    docker_args = ("--gpus", "all", "--ipc=host", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864")
