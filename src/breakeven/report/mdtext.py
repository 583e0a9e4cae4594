"""Text and tables of Markdown, safe in a pull request."""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from breakeven.report.forms import markdown
from breakeven.table import Table, heads

_SPECIAL: Final = re.compile(r"([\\`*_\[\]|#~])")


def text(value: str) -> str:
    """Text that Markdown leaves as it is."""
    plain = _SPECIAL.sub(r"\\\1", html.escape(value, quote=False))
    return plain.replace("@", "@\u200b").replace("://", ":\u200b//").replace("www.", "www\u200b.")


def table(labels: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 2) -> Iterator[str]:
    """`left` columns stand to the left, the others to the right."""
    yield from (*markdown(Table(heads(*labels, left=range(left)), rows)), "")
