"""`transformers serve`: what differs from the plain OpenAI API."""

from breakeven.engine.base import OpenAI, Options


class Transformers(OpenAI):
    """`transformers serve`, release 5. It answers 422 to fields it does not know, `ignore_eos` among them.

    The model's id is its path. Usage comes in the finish chunk by itself. Out of the box it does not batch; the word
    `--continuous-batching` in `extra` turns that on.
    """

    name = "transformers"
    health_path = "/health"
    request_fields = frozenset[str]()
    command = ("transformers", "serve")
    distribution = "transformers"
    options = Options(dtype="--dtype")
    default_port = 8000
    hub_access_env = "HF_TOKEN"
