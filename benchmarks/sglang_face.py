"""SGLang 0.5 on a machine without a GPU, its model replaced; run by the Python of its environment.

`PYTHON benchmarks/sglang_face.py --model-path MODEL …` takes the words of `python -m sglang.launch_server`. All of
SGLang is its own: HTTP server, protocol, templates, parsers, tokenizer, scheduler, key-value cache, sampler, metrics.
Its model is that of `sglang_models`, by the way that SGLang keeps for models of others. MODEL is a folder with
configuration and tokenizer.
"""

import os
import sys

import torch

VISION = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
"""Operators of torchvision, whose compiled part is for CUDA; its Python part cannot be imported without their names."""
DEFAULTS = {
    # no network: the model is a folder
    "HF_HUB_OFFLINE": "1",
    "SGLANG_EXTERNAL_MODEL_PACKAGE": "sglang_models",
}
WORDS = (
    *("--device", "cpu", "--load-format", "dummy", "--attention-backend", "torch_native"),
    *("--sampling-backend", "pytorch", "--disable-overlap-schedule"),
    # else its cache of keys and values, which nothing reads here, takes most of the memory
    *("--max-total-tokens", "16384"),
)

# at import, not below: SGLang's processes are spawned and import this file again
_library = torch.library.Library("torchvision", "DEF")
for _name in VISION:
    for _operator in (_name, f"_{_name}_backward"):
        _library.define(f"{_operator}(Tensor x) -> Tensor")
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)

if __name__ == "__main__":
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args
    from sglang.srt.utils import kill_process_tree

    try:
        run_server(prepare_server_args([*WORDS, *sys.argv[1:]]))
    finally:
        kill_process_tree(os.getpid(), include_parent=False)
