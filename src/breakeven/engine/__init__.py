"""Whom we ask: the differences between serving engines."""

from typing import Final

ENGINES: Final = {
    "openai": "breakeven.engine.base:OpenAI",
    "llamacpp": "breakeven.engine.llamacpp:Llamacpp",
    "vllm": "breakeven.engine.vllm:Vllm",
    "lmdeploy": "breakeven.engine.lmdeploy:Lmdeploy",
    "sglang": "breakeven.engine.sglang:Sglang",
    "ollama": "breakeven.engine.ollama:Ollama",
    "tgi": "breakeven.engine.tgi:Tgi",
    "transformers": "breakeven.engine.transformers:Transformers",
    "trtllm": "breakeven.engine.trtllm:Trtllm",
}
