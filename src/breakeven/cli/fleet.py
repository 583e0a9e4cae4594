"""The command `breakeven fleet`: one list of its actions."""

from typing import Final

from breakeven.cli import fleet_data, fleet_market
from breakeven.cli.command import Command

COMMANDS: Final = (
    Command("fleet", "measure many nodes and rank them", actions=(*fleet_data.ACTIONS, *fleet_market.ACTIONS)),
)
