"""Equivalence: how many of B do the work of one A."""
