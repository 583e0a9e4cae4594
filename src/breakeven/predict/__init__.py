"""What was not measured: how long a step of an engine takes, and what its users then see."""
