"""Measurements of others, as aggregates with their source, so that a comparison can start before a card is rented."""

from breakeven.reference.find import DATA_SETS, DEFAULT_WORKLOADS, find_run, in_tokens, nodes, reference_runs

__all__ = ["DATA_SETS", "DEFAULT_WORKLOADS", "find_run", "in_tokens", "nodes", "reference_runs"]
