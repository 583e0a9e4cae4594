"""Tables of things that can be named: a plain dict `name -> "module:attribute"`, loaded when first used."""

import importlib
from collections.abc import Mapping

from breakeven.errors import UsageError, unknown


def load(kind: str, table: Mapping[str, str], name: str) -> object:
    """Import the attribute that `name` stands for; UsageError names the nearest known name."""
    if name not in table:
        raise UsageError(unknown(kind, name, table))
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
