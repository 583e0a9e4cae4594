"""What a command prints: its text, and its other forms where they are asked for."""

import sys
from collections.abc import Callable

from breakeven.errors import UsageError


def put_out(
    text: str, *, told: object, json_to: str | None, page: Callable[[], str] | None = None, html_to: str | None = None
) -> None:
    """The text on stdout, or on stderr where a form goes there; UsageError where two would."""
    if json_to == html_to == "-":
        raise UsageError("only one form can go to stdout (-)")
    print(text, file=sys.stderr if "-" in (json_to, html_to) else sys.stdout)
    if json_to is None and html_to is None:
        return
    from breakeven.app.runs import write_json, write_out

    if page is not None and html_to is not None:
        write_out(page().encode(), html_to)
    if json_to is not None:
        write_json(told, json_to)
