"""What the records mean: definitions, windows, intervals."""
