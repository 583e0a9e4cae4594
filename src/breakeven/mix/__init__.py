"""The cheapest whole-number mix of cards and engines for a load."""
