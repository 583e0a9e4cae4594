"""Ready scenarios: TOML files of this folder, by name."""

from importlib import resources
from typing import Final

from breakeven.errors import UsageError, unknown

PRESETS: Final[dict[str, str]] = {
    "nosana-2024": "the article of 2024-09-13: A100 against two RTX 4090, purchase and rent",
    "owner": "buy a card, rent it out on a marketplace",
    "renter": "rent cards and serve on them: which is cheaper per token",
    "self-host": "serve on a card of your own or rented, or pay an API per token",
}
"""Name -> what it answers."""


def preset_text(name: str) -> str:
    """TOML of a ready scenario; UsageError names the nearest known one."""
    if name not in PRESETS:
        raise UsageError(unknown("preset", name, PRESETS))
    return resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
