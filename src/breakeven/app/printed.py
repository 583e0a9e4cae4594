"""What a command prints: its text, and its JSON where that is asked for."""

import sys


def put_out(text: str, *, told: object, json_to: str | None) -> None:
    """The text on stdout, or on stderr with what is told as JSON on stdout."""
    print(text, file=sys.stderr if json_to == "-" else sys.stdout)
    if json_to is not None:
        from breakeven.app.runs import write_json

        write_json(told, json_to)
