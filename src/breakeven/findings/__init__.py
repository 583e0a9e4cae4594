"""Findings: what runs and prices say, as the one type that a report reads."""

from breakeven.findings.make import findings
from breakeven.findings.money import MoneyCase, money_case
from breakeven.findings.series import LevelSeries, throughput_series
from breakeven.findings.types import FORMAT, Findings, Level, Money, Place, Ranked, Subject

__all__ = [
    "FORMAT",
    "Findings",
    "Level",
    "LevelSeries",
    "Money",
    "MoneyCase",
    "Place",
    "Ranked",
    "Subject",
    "findings",
    "money_case",
    "throughput_series",
]
