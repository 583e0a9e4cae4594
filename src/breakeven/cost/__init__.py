"""The economics: what a token costs, when a GPU pays for itself."""
