"""The command `breakeven fleet`: one list of its actions."""

from typing import Final

from breakeven.cli import fleet_data, fleet_jobs, fleet_market
from breakeven.cli.command import Command

_ACTIONS: Final = (*fleet_jobs.ACTIONS, *fleet_data.ACTIONS, *fleet_market.ACTIONS)
COMMANDS: Final = (Command("fleet", "measure many nodes and rank them", actions=_ACTIONS),)
