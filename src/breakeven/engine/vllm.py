"""vLLM: what it adds to the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import OpenAI, Options


class Vllm(OpenAI):
    """`vllm serve`. Options read from its argument parser (engine/arg_utils.py)."""

    name = "vllm"
    owned_by = "vllm"
    health_path = "/health"
    version_path = "/version"
    metrics_path = "/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "vllm:num_requests_running",
        "waiting_requests": "vllm:num_requests_waiting",
        "kv_use_share": "vllm:kv_cache_usage_perc",
        "preemptions": "vllm:num_preemptions_total",
        "generated_tokens": "vllm:generation_tokens_total",
        "cache_asked_tokens": "vllm:prefix_cache_queries_total",
        "cache_hit_tokens": "vllm:prefix_cache_hits_total",
        "drafts": "vllm:spec_decode_num_drafts_total",
        "drafted_tokens": "vllm:spec_decode_num_draft_tokens_total",
        "accepted_tokens": "vllm:spec_decode_num_accepted_tokens_total",
    }
    request_fields = frozenset({"stream_options", "ignore_eos", "min_tokens"})
    exact_length_body: ClassVar[Mapping[str, object]] = {"ignore_eos": True}
    tokenize_path = "/tokenize"
    tokenize_field = "prompt"
    tokenize_body: ClassVar[Mapping[str, object]] = {"add_special_tokens": False}
    command = ("vllm", "serve")
    distribution = "vllm"
    options = Options(
        served_name="--served-model-name",
        tensor_parallel="--tensor-parallel-size",
        context_tokens="--max-model-len",
        max_batch="--max-num-seqs",
        dtype="--dtype",
        quantization="--quantization",
        caching_on=("--enable-prefix-caching",),
        caching_off=("--no-enable-prefix-caching",),
    )
    says_no = True
    gpu_factors = ("pipeline_parallel_size", "data_parallel_size")
    default_port = 8000
    hub_access_env = "HF_TOKEN"
    image = "vllm/vllm-openai:latest"
    docker_args = ("--gpus", "all", "--ipc=host")
