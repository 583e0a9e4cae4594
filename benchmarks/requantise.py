"""Writes a GGUF file again in another quantization: `requantise.py FROM.gguf TO.Q8_0.gguf [--kind Q8_0]`.

For a Python that has the package `gguf`. Weights that are quantized already are widened first, so the new file is no
nearer to the original model than the old one; it is another load for the engine. One-dimensional tensors stay as they
are, and so does what does not divide into blocks.
"""

import argparse
from pathlib import Path

import gguf
from gguf.quants import dequantize, quantize


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a GGUF file again in another quantization.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--kind", default="Q8_0", choices=("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1", "F16", "BF16"))
    told = parser.parse_args()
    reader = gguf.GGUFReader(told.source)
    writer = gguf.GGUFWriter(told.target, arch=reader.fields["general.architecture"].contents())
    _write_facts(reader, writer, kind=told.kind)
    kind = gguf.GGMLQuantizationType[told.kind]
    for tensor in reader.tensors:
        block = gguf.GGML_QUANT_SIZES[kind][0]
        if len(tensor.shape) < 2 or tensor.shape[0] % block:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            writer.add_tensor(tensor.name, quantize(dequantize(tensor.data, tensor.tensor_type), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(reader: gguf.GGUFReader, writer: gguf.GGUFWriter, *, kind: str) -> None:
    """All that the header says, with the new file type, which readers look for before the vocabulary."""
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        of_list = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=of_list)


if __name__ == "__main__":
    main()
