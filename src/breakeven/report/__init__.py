"""Findings turned into tables, pages and files."""
