"""Facts about GPUs and models, each with its source."""

from breakeven.hardware.gpu import Gpu, gpus
from breakeven.hardware.model import (
    PRECISIONS,
    ModelShape,
    find_model,
    known_model,
    model_shape,
    models,
    peak_flop_per_s,
)
from breakeven.hardware.names import find_gpu, find_gpus, gpu_key, key_of, may_mean, of_size, same_card, same_gpu

__all__ = [
    "PRECISIONS",
    "Gpu",
    "ModelShape",
    "find_gpu",
    "find_gpus",
    "find_model",
    "gpu_key",
    "gpus",
    "key_of",
    "known_model",
    "may_mean",
    "model_shape",
    "models",
    "of_size",
    "peak_flop_per_s",
    "same_card",
    "same_gpu",
]
