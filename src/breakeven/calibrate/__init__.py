"""The instrument held against a server whose true timings are known."""
