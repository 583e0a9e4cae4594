"""What a helper process of ours gets of the environment: what Python needs, and no key that somebody keeps there."""

import os
from collections.abc import Sequence
from typing import Final

_NEEDED: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "BREAKEVEN_CACHE"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR", "SYSTEMROOT"),
    }
)
_NEEDED_STARTS: Final = ("PYTHON", "LC_", "COVERAGE_")


def bare_environment(*, and_starts: Sequence[str] = ()) -> dict[str, str]:
    """The variables that are needed; `and_starts` are the beginnings of further names."""
    starts = (*_NEEDED_STARTS, *and_starts)
    return {name: value for name, value in os.environ.items() if name in _NEEDED or name.startswith(starts)}
