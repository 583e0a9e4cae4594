"""The command `breakeven fleet`: one list of its actions."""

from typing import Final

from breakeven.cli import fleet_data
from breakeven.cli.command import Command

COMMANDS: Final = (Command("fleet", "measure many nodes and rank them", actions=(*fleet_data.ACTIONS,)),)
