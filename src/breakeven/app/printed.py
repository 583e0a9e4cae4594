"""What a command prints: its text, and its JSON where that is asked for."""

import sys
from pathlib import Path


def put_out(text: str, *, as_json: str, json_to: str | None) -> None:
    """The text on stdout, or on stderr with the JSON on stdout."""
    print(text, file=sys.stderr if json_to == "-" else sys.stdout)
    if json_to == "-":
        print(as_json)
    elif json_to is not None:
        from breakeven.app.runs import write_file

        write_file(Path(json_to), as_json.encode() + b"\n")
