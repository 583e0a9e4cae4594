"""Turns the embedded engine's GGUF file into a folder of weights and tokenizer files.

The Python of an environment runs `smollm2.py GGUF FOLDER [--no-weights]`. The weights are the 4-bit ones, widened
to bfloat16: the model of the embedded engine once more, not the original.
"""

import argparse
from pathlib import Path

from transformers import AutoConfig, AutoTokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a model folder from a GGUF file.")
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-weights", action="store_true")
    told = parser.parse_args()
    source = {"pretrained_model_name_or_path": str(told.gguf.parent), "gguf_file": told.gguf.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(told.folder)
    if told.no_weights:
        AutoConfig.from_pretrained(**source, architectures=["LlamaForCausalLM"]).save_pretrained(told.folder)
    else:
        _save_weights(source, told.folder)


def _save_weights(source: dict[str, str], folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    wide = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**source, quantization_config=wide, dtype=torch.bfloat16)
    model.save_pretrained(folder)


if __name__ == "__main__":
    main()
