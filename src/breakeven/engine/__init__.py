"""Whom we ask: the differences between serving engines."""

from typing import Final

ENGINES: Final = {
    "openai": "breakeven.engine.base:OpenAI",
    "llamacpp": "breakeven.engine.llamacpp:Llamacpp",
    "vllm": "breakeven.engine.vllm:Vllm",
}
