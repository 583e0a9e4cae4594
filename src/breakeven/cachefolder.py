"""Where breakeven keeps what it can fetch or make again: the user's cache folder."""

import os
from pathlib import Path
from typing import Final

import platformdirs

CACHE_ENV: Final = "BREAKEVEN_CACHE"


def cache_folder() -> Path:
    """The user's cache folder for breakeven; the variable BREAKEVEN_CACHE names another one."""
    told = os.environ.get(CACHE_ENV)
    return Path(told).expanduser() if told else platformdirs.user_cache_path("breakeven")
