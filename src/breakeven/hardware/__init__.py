"""Facts about GPUs, each with its source."""

from breakeven.hardware.gpu import Gpu, gpus
from breakeven.hardware.names import find_gpu, find_gpus, gpu_key, same_card, same_gpu
from breakeven.hardware.table import table_text

__all__ = ["Gpu", "find_gpu", "find_gpus", "gpu_key", "gpus", "same_card", "same_gpu", "table_text"]
