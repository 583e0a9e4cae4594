"""For what a side of a comparison stands: a machine, or a GPU type, with what its intervals hold of it."""

from typing import Final

from breakeven.compare.differences import gpu_count
from breakeven.compare.pool import Pooled, nodes_of
from breakeven.compare.types import ScopeName, SideScope
from breakeven.errors import UsageError

DEFAULT_NODE_SD_LOG: Final = 0.05
"""Spread between nodes of one GPU type on the log scale, where none was given: our choice, and said so."""


def side_scope(pooled: Pooled, *, wanted: ScopeName, node_sd_log: float | None) -> SideScope:
    """A run of a data set says of how many nodes it is; any other is the machine that ran it.

    With `gpu_type` each draw adds a spread between nodes: the given one, or our default, which medians whose intervals
    are over nodes do not need. UsageError for a spread without that scope, and for one that is none.
    """
    if wanted == "machines" and node_sd_log is not None:
        raise UsageError("--node-spread: a spread between nodes belongs to --scope gpu_type; ask for that")
    if not 0 <= (node_sd_log or 0.0) < 1:
        raise UsageError(f"--node-spread: {node_sd_log:g} is no spread; give a share such as 0.05 for 5 %")
    nodes, predicted = nodes_of(pooled), pooled.run.run.kind == "predicted"
    over_nodes = nodes > 1 and all(level.figures["output_tok_per_s"].log_half is not None for level in pooled.levels)
    default = None if over_nodes or wanted == "machines" else DEFAULT_NODE_SD_LOG
    return SideScope(
        of="prediction" if predicted else "node_medians" if nodes > 1 else "data_machine" if nodes else "machine",
        cards=max(1, gpu_count(pooled.run.run.host)),
        nodes=nodes or None,
        interval_over_nodes=over_nodes,
        node_sd_log=default if node_sd_log is None else node_sd_log,
        node_sd_given=node_sd_log is not None,
    )
