"""Ollama: what differs from the plain OpenAI API."""

from msgspec.structs import replace

from breakeven.engine.base import IMAGE_HOME, EngineSettings, OpenAI, Options


class Ollama(OpenAI):
    """`ollama serve`, told by environment variables. The model is named by the request and must be pulled before.

    It knows neither `ignore_eos` nor `min_tokens`, so no answer of exact length can be promised, and has no metrics
    and no tokenizer of its own to ask. Without a batch limit it works on one request at a time.
    """

    name = "ollama"
    owned_by = "library"
    health_path = "/api/version"
    version_path = "/api/version"
    command = ("ollama", "serve")
    options = Options(host=None, port=None)
    default_port = 11434
    image = "ollama/ollama:latest"
    image_cache = ("~/.ollama", f"{IMAGE_HOME}/.ollama")

    @classmethod
    def environment(cls, *, port: int, settings: EngineSettings | None = None) -> dict[str, str]:
        """Address, context and batch limit, as Ollama reads them."""
        told = settings or EngineSettings()
        said = {
            "OLLAMA_HOST": f"{told.host}:{port}",
            "OLLAMA_CONTEXT_LENGTH": told.context_tokens,
            "OLLAMA_NUM_PARALLEL": told.max_batch,
        }
        return {name: str(value) for name, value in said.items() if value is not None}

    @classmethod
    def _model_words(cls, model: str) -> list[str]:
        del model
        return []

    @classmethod
    def _setting_words(cls, told: EngineSettings) -> list[str]:
        return super()._setting_words(replace(told, context_tokens=None, max_batch=None))
