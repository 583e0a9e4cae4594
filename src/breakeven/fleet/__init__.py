"""Many nodes: one uniform job on each, what came back, and what it says of nodes and of markets."""
