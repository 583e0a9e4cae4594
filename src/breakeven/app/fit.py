"""`breakeven fit`: on which cards a model fits, and how many users it serves there."""

from breakeven.app.prices import quotes
from breakeven.app.printed import put_out
from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape, find_gpus, find_model, gpus
from breakeven.predict.fits import fit_on
from breakeven.predict.text import fit_text


def chosen_model(name: str, *, precision: str | None, kv_bits: int | None = None) -> ModelShape:
    """The model by name or config, in the asked precision."""
    model = find_model(name)
    if precision is None and kv_bits is None:
        return model
    return model.kept_as(precision or model.precision, kv_bits=kv_bits)


def chosen_gpus(names: tuple[str, ...]) -> list[Gpu]:
    """The cards that are meant; without a name those that have a quote. UsageError where one is not known."""
    if not names:
        let = {gpu.key for quote in quotes() for gpu in find_gpus(quote.gpu)}
        return [gpu for gpu in gpus().values() if gpu.key in let]
    return list({gpu.key: gpu for name in names for gpu in find_gpus(name)}.values())


def fit(
    name: str,
    *,
    gpu_names: tuple[str, ...],
    context_tokens: int | None,
    cards: int | None,
    precision: str | None,
    kv_bits: int | None,
    json_to: str | None,
) -> int:
    """Print a line a card. The exit code is 1 where the model fits on none of them."""
    model = chosen_model(name, precision=precision, kv_bits=kv_bits)
    longest = model.context or 8192
    asked = min(8192, longest) if context_tokens is None else context_tokens
    if not 1 <= asked <= longest:
        raise UsageError(f"--context {asked}: {model.name} was made for 1 to {longest:,} tokens")
    fits = [fit_on(model, gpu, context_tokens=asked, cards=cards) for gpu in chosen_gpus(gpu_names)]
    told = {"format": 1, "model": model, "context_tokens": asked, "fits": fits}
    put_out(fit_text(model, fits, context_tokens=asked), told=told, json_to=json_to)
    return 0 if any(one.cards is not None for one in fits) else 1
