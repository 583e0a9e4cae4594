"""The command `breakeven completion`: a script by which bash or zsh completes commands, actions and options."""

import argparse
from typing import Final

from breakeven.cli.command import Command
from breakeven.errors import UsageError
from breakeven.options import Option

SHELLS: Final = ("bash", "zsh")
_EXAMPLES: Final = """  breakeven completion bash > ~/.local/share/bash-completion/completions/breakeven
  breakeven completion zsh > ~/.zfunc/_breakeven
"""


def do(arguments: argparse.Namespace) -> int:
    """Print the script, made from the parser itself."""
    try:
        import shtab
    except ImportError:
        raise UsageError("completion needs shtab: pip install 'breakeven[completion]'") from None
    from breakeven.cli import parser

    print(shtab.complete(parser(), shell=arguments.shell))
    return 0


COMMANDS: Final = (
    Command(
        "completion",
        "print a script by which a shell completes commands and options",
        do,
        (Option("SHELL", "bash or zsh", choices=SHELLS),),
        "Print a script by which bash or zsh completes commands, actions and options (needs breakeven[completion]).",
        _EXAMPLES,
    ),
)
