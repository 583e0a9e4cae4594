"""Text Generation Inference: what differs from the plain OpenAI API."""

from collections.abc import Mapping
from typing import ClassVar

from breakeven.engine.base import EngineSettings, OpenAI, Options


class Tgi(OpenAI):
    """`text-generation-launcher`. Options read from its launcher of 2026-01.

    Its OpenAI endpoints take no `ignore_eos`, so no answer of exact length can be promised. Out of the box it turns
    away more than 128 requests at once (`--max-concurrent-requests`, by `extra`). No switch of the command line names
    the model or turns prefix caching off: that is the variable PREFIX_CACHING.
    """

    name = "tgi"
    health_path = "/health"
    version_path = "/info"
    metrics_path = "/metrics"
    metrics: ClassVar[Mapping[str, str]] = {
        "running_requests": "tgi_batch_current_size",
        "waiting_requests": "tgi_queue_size",
        "generated_tokens": "tgi_request_generated_tokens_sum",
    }
    tokenize_path = "/tokenize"
    tokenize_field = "inputs"
    command = ("text-generation-launcher",)
    options = Options(
        model="--model-id",
        host="--hostname",
        tensor_parallel="--num-shard",
        context_tokens="--max-total-tokens",
        max_batch="--max-batch-size",
        dtype="--dtype",
        quantization="--quantize",
        caching_on=(),
        caching_off=(),
    )
    default_port = 3000
    hub_access_env = "HF_TOKEN"
    image = "ghcr.io/huggingface/text-generation-inference:latest"
    image_cache = ("~/.cache/huggingface/hub", "/data")
    image_takes = "arguments"
    docker_args = ("--gpus", "all", "--shm-size", "1g")

    @classmethod
    def environment(cls, *, port: int, settings: EngineSettings | None = None) -> dict[str, str]:
        """Prefix caching, which the command line cannot say."""
        del port
        told = None if settings is None else settings.prefix_caching
        return {} if told is None else {"PREFIX_CACHING": str(int(told))}
