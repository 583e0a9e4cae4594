"""The page: its style, its script and the economics in the browser."""
