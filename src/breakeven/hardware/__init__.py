"""Facts about GPUs, each with its source."""

from breakeven.hardware.gpu import Gpu, gpus
from breakeven.hardware.names import find_gpu, find_gpus, gpu_key, key_of, may_mean, of_size, same_card, same_gpu

__all__ = [
    "Gpu",
    "find_gpu",
    "find_gpus",
    "gpu_key",
    "gpus",
    "key_of",
    "may_mean",
    "of_size",
    "same_card",
    "same_gpu",
]
