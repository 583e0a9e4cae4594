"""Where the engine runs: started by us, or already there."""
