"""Run folders: written so that a kill loses nothing."""
