"""Fleets with known truth, for grid_coverage.py and grid_detection.py: jobs as columns, many fleets at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS, Codes, Rows

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

USERS = (1, 5, 10, 50, 100)
RATES = np.array([40.0, 180.0, 320.0, 1100.0, 1500.0])
JOB_SD = 0.02
"""Between the jobs of one node on the log scale; in the fleet data of 2024 it is 0.3 to 1.9 %."""
LEVEL_SD = 0.01
"""Between the levels of one job."""
OUTLIER = 1.5
"""SC22's outliers run 1.5 times slower than the median (arXiv 2208.11035)."""
SC22_SD, SC22_MOST = 0.08, 0.22
"""Identical GPUs differ by 8 % on average and 22 % at most (the same)."""


def silicon(rng: np.random.Generator, count: int, sd: float) -> Floats:
    """log(speed) of healthy nodes; with SC22's spread none is further than its most."""
    drawn = rng.normal(0, sd, count)
    return np.clip(drawn, -SC22_MOST, SC22_MOST) if sd >= SC22_SD else drawn


def jobs_of(rng: np.random.Generator, theta: Floats, fleet: Whole, count: Whole, **figures: Floats) -> Rows:
    """Jobs of nodes with these log speeds: `fleet` and the number of jobs by node, `figures` by node for every job."""
    node = np.repeat(np.arange(len(theta)), count)
    total = len(node)
    speed = theta[node] + rng.normal(0, JOB_SD, total)
    rates = RATES * np.exp(speed[:, None] + rng.normal(0, LEVEL_SD, (total, len(USERS))))
    columns: dict[str, Any] = {name: Codes(np.full(total, -1, np.int32), ()) for name in TEXTS}
    columns |= {name: np.full(total, np.nan) for name in FIGURES}
    columns |= {name: np.full((total, len(USERS)), np.nan, np.float32) for name in LEVELS}
    rows = Rows(
        users=USERS,
        id=np.arange(total).astype(np.bytes_),
        digest=np.arange(total, dtype=np.uint64),
        tried=np.ones((total, len(USERS)), dtype=bool),
        **columns,
    )
    own: Mapping[str, Any] = {name: values[node] for name, values in figures.items()}
    return replace(
        rows,
        node=Codes(node.astype(np.int32), tuple(f"n{i}" for i in range(len(theta)))),
        market=Codes(fleet[node].astype(np.int32), tuple(f"fleet{i}" for i in range(int(fleet.max()) + 1))),
        gpu=Codes(np.zeros(total, np.int32), ("rtx4090",)),
        card_name=Codes(np.zeros(total, np.int32), ("NVIDIA GeForce RTX 4090",)),
        output_tok_per_s=rates.astype(np.float32),
        ci95_low=(rates * np.exp(-1.96 * LEVEL_SD)).astype(np.float32),
        ci95_high=(rates * np.exp(1.96 * LEVEL_SD)).astype(np.float32),
        **own,
    )
