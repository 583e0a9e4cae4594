"""The command `breakeven completion`: a script by which bash or zsh completes commands, options, files and folders."""

import argparse
import re
from typing import Any, Final

from breakeven.cli.command import Command
from breakeven.errors import UsageError
from breakeven.options import Option

SHELLS: Final = ("bash", "zsh")
FILES: Final = frozenset(
    {"CAND", "CSV", "FILE", "MAP", "MODEL", "PLAN", "REF", "RUN", "RUN|STUDY", "S", "SCENARIO", "SOURCE"}
)
"""What the help calls values that are files, or folders with files in them."""
FOLDERS: Final = frozenset({"FOLDER"})
_EXAMPLES: Final = """  breakeven completion bash > ~/.local/share/bash-completion/completions/breakeven
  breakeven completion zsh > ~/.zfunc/_breakeven
"""
_MENDED: Final = (
    (re.compile(r'^(\s+)"\(\*\)::?', re.MULTILINE), r'\1"*:'),
    (re.compile(r'^(\s+"\*?:.*:)"$', re.MULTILINE), r'\1( )"'),
)
"""What shtab writes for zsh, and what it has to be: of plain words that may be many only the first was completed, and
where nothing is known of a plain word no option was completed in its place."""


def do(arguments: argparse.Namespace) -> int:
    """Print the script, made from the parser itself."""
    try:
        import shtab
    except ImportError:
        raise UsageError("completion needs shtab: pip install 'breakeven[completion]'") from None
    from breakeven.cli import parser

    made = parser()
    for action in made.all_actions():
        _name_files(action, files=shtab.FILE, folders=shtab.DIRECTORY)
        if arguments.shell == "zsh":
            _escape(action)
    script = shtab.complete(made, shell=arguments.shell)
    for found, better in _MENDED if arguments.shell == "zsh" else ():
        script = found.sub(better, script)
    print(script)
    return 0


def _name_files(action: argparse.Action, *, files: Any, folders: Any) -> None:
    names = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
    if names[0] in FILES | FOLDERS:
        action.complete = files if names[0] in FILES else folders  # type: ignore[attr-defined]


def _escape(action: argparse.Action) -> None:
    """A colon ends a value's name for zsh; two values are two names, each with what completes it."""
    if isinstance(action.metavar, tuple):
        action.metavar = ":_files:".join(action.metavar)
    elif action.metavar is not None:
        action.metavar = action.metavar.replace(":", r"\:")


COMMANDS: Final = (
    Command(
        "completion",
        "print a script by which a shell completes commands and options",
        do,
        (Option("SHELL", "bash or zsh", choices=SHELLS),),
        "Print a script by which bash or zsh completes commands, actions, options, files and folders\n"
        "(needs breakeven[completion]).",
        _EXAMPLES,
    ),
)
