"""Names of GPUs: finds the row that a person, a driver or a price list means; an unknown name is an error, never 0."""

import difflib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence

from breakeven.errors import UsageError, one_line
from breakeven.hardware.gpu import Gpu, gpus

_NOISE = re.compile(r"\b(nvidia|amd|geforce|radeon|instinct|tesla|gpu|graphics|generation|blackwell|edition)\b")
_GB = re.compile(r"(?<=\d) ?gb\b|(?<=\b\d\d) ?g\b")
_SOCKET = re.compile(r"\bsxm\d\b")
_BRAND = re.compile(r"^(rtx)(?=.*\d)")


def compact(name: str) -> str:
    """The name without vendor words, `GB`, spaces, signs and a socket's number: `A100-SXM4-80GB` -> `a100sxm80`."""
    plain = _SOCKET.sub("sxm", _NOISE.sub(" ", name.lower().replace("_", " ")))
    return re.sub(r"[^a-z0-9]", "", _GB.sub("", plain))


@functools.cache
def _index() -> Mapping[str, tuple[str, ...]]:
    """Compact name, with the memory behind it or without -> keys; a name that fits several rows keeps them all."""
    found: dict[str, list[str]] = {}
    for gpu in gpus().values():
        names = {compact(name) for name in (gpu.key, gpu.name, *gpu.aliases, *gpu.groups)}
        names |= {f"{name}{gpu.vram_gb:g}" for name in names}
        for name in names | {_BRAND.sub("", name) for name in names}:
            found.setdefault(name, []).append(gpu.key)
    return {name: tuple(keys) for name, keys in found.items()}


def may_mean(name: str) -> tuple[Gpu, ...]:
    """Every row that `name` may mean: one for `RTX 4090`, four for `a100`, none for a name that is not known."""
    return tuple(gpus()[key] for key in _index().get(compact(name), ()))


def find_gpus(name: str) -> tuple[Gpu, ...]:
    """Every row that `name` may mean; UsageError with near names for none."""
    found = may_mean(name)
    if not found:
        raise UsageError(_unknown(name))
    return found


def find_gpu(name: str) -> Gpu:
    """The one row that `name` means; UsageError lists the candidates where it may mean several."""
    found = find_gpus(name)
    if len(found) > 1:
        keys = ", ".join(gpu.key for gpu in found)
        raise UsageError(f"'{one_line(name, limit=60)}' may mean {keys}: name one of them")
    return found[0]


def gpu_key(name: str, *, vram_gb: float | None = None) -> str:
    """Key of the row that `name` means, else of the smallest group that holds all it may mean.

    `vram_gb` tells an A100 of 40 GB from one of 80 GB; it may be off by a tenth, as GB and GiB are mixed up.
    `A100` with 80 GB gives `a100-80`: the size is known, PCIe or SXM is not. UsageError when nothing fits.
    """
    found = find_gpus(name)
    if vram_gb is not None:
        fits = of_size(found, vram_gb)
        if not fits:
            sizes = ", ".join(f"{gpu.vram_gb:g}" for gpu in found)
            raise UsageError(f"no '{one_line(name, limit=60)}' of {vram_gb:g} GB is known; the table has {sizes} GB")
        found = fits
    key = key_of(found)
    if key is None:
        raise UsageError(
            f"'{one_line(name, limit=60)}' may mean {', '.join(gpu.key for gpu in found)}: name one of them"
        )
    return key


def of_size(found: Iterable[Gpu], vram_gb: float) -> tuple[Gpu, ...]:
    """Those with that much memory, to a tenth, as GB and GiB are mixed up."""
    return tuple(gpu for gpu in found if abs(gpu.vram_gb - vram_gb) <= 0.1 * gpu.vram_gb)


def key_of(found: Sequence[Gpu]) -> str | None:
    """The key of one card, else the smallest group that holds all of them; None where no name stands for them all."""
    if len(found) == 1:
        return found[0].key
    shared = set(found[0].groups).intersection(*(gpu.groups for gpu in found)) if found else set()
    return min(shared, key=lambda group: (len(find_gpus(group)), group), default=None)


def same_gpu(one: str, other: str) -> bool:
    """Whether two keys or groups may mean the same card: `a100-80` and `a100-80-sxm` may."""
    keys = {gpu.key for gpu in find_gpus(one)}
    return any(gpu.key in keys for gpu in find_gpus(other))


def same_card(one: str, other: str) -> bool:
    """Whether two names may be of one card; names that the table does not know, as of a CPU, must be the same."""
    try:
        return same_gpu(one, other)
    except UsageError:
        return compact(one) == compact(other)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(compact(name), _index(), n=5, cutoff=0.5)
    keys = list(dict.fromkeys(key for match in near for key in _index()[match]))
    hint = f"near names: {', '.join(keys[:6])}" if keys else f"{len(gpus())} are known"
    return f"no GPU is called '{one_line(name, limit=60)}'; {hint}; `breakeven gpus` lists them all"
