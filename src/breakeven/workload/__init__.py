"""What users ask: one small file a workload."""

from typing import Final

WORKLOADS: Final = {
    "chat": "breakeven.workload.chat:Chat",
    "fixed": "breakeven.workload.fixed:Fixed",
}
