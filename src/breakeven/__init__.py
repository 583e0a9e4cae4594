"""breakeven: which GPU, engine and price serves an LLM at the lowest cost, measured and not assumed."""

__version__ = "0.1.0"
