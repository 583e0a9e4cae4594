"""Facts about GPUs and models, each with its source."""

from breakeven.hardware.gpu import Gpu, Numbers, gpus
from breakeven.hardware.model import ModelShape, find_model, known_model, model_shape, models
from breakeven.hardware.names import find_gpu, find_gpus, gpu_key, key_of, may_mean, of_size, same_card, same_gpu
from breakeven.hardware.precision import PRECISIONS, SIXTEEN, peak_flop_per_s, products_on

__all__ = [
    "PRECISIONS",
    "SIXTEEN",
    "Gpu",
    "ModelShape",
    "Numbers",
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
    "products_on",
    "same_card",
    "same_gpu",
]
