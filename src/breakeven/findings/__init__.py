"""Findings: what runs and prices say, as the one type that a report reads."""

from breakeven.findings.make import findings
from breakeven.findings.money import Prices
from breakeven.findings.series import LevelSeries, throughput_series
from breakeven.findings.types import FORMAT, Answer, Findings, Level, Money, Place, Price, Ranked, Subject

__all__ = [
    "FORMAT",
    "Answer",
    "Findings",
    "Level",
    "LevelSeries",
    "Money",
    "Place",
    "Price",
    "Prices",
    "Ranked",
    "Subject",
    "findings",
    "throughput_series",
]
