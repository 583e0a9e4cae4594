"""The plan of a study that really runs: one model on two reference servers, of which one is slower."""

import sys

SERVE = f'"{sys.executable}", "-m", "breakeven.client.reference", "--port", "{{port}}"'
TWO_ENGINES = f"""
[study]
name = "two"
repeats = 2

[[models]]
name = "m"
model = "truth"

[[engines]]
name = "fast"
engine = "openai"
command = [{SERVE}, "--itl", "0.002"]

[[engines]]
name = "slow"
engine = "openai"
command = [{SERVE}, "--itl", "0.01"]

[[workloads]]
name = "w"
output_tokens = 16

[levels]
users = [1, 2]
duration_s = 0.4
ramp_s = 0
warmup_s = 0
"""
