"""GGUF files by their quantization, as names or else headers say, and the one of a folder that is wanted."""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from breakeven.errors import UsageError, one_line

SUFFIX: Final = ".gguf"
_FILE_TYPES: Final[Mapping[int, str]] = {
    0: "f32",
    1: "f16",
    2: "q4_0",
    3: "q4_1",
    7: "q8_0",
    8: "q5_0",
    9: "q5_1",
    10: "q2_k",
    11: "q3_k_s",
    12: "q3_k_m",
    13: "q3_k_l",
    14: "q4_k_s",
    15: "q4_k_m",
    16: "q5_k_s",
    17: "q5_k_m",
    18: "q6_k",
    19: "iq2_xxs",
    20: "iq2_xs",
    21: "q2_k_s",
    22: "iq3_xs",
    23: "iq3_xxs",
    24: "iq1_s",
    25: "iq4_nl",
    26: "iq3_s",
    27: "iq3_m",
    28: "iq2_s",
    29: "iq2_m",
    30: "iq4_xs",
    31: "iq1_m",
    32: "bf16",
    36: "tq1_0",
    37: "tq2_0",
    38: "mxfp4",
}
"""llama.cpp's `llama_ftype` (include/llama.h), as `general.file_type` of a header has it."""
_NAMES: Final = sorted(_FILE_TYPES.values(), key=len, reverse=True)
_IN_NAME: Final = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(_NAMES)})(?![A-Za-z0-9])", re.IGNORECASE)
_LATER_PART: Final = re.compile(r"-(\d{5})-of-\d{5}\.gguf$")
_KEY: Final = b"general.file_type"
_UINT32, _STRING, _LIST = 4, 8, 9
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of each type that has a size of its own."""
_MOST_KEYS: Final = 1000
_MOST_VALUES: Final = 1000
_LONGEST: Final = 1 << 20


def quantization_of(path: Path) -> str | None:
    """`q8_0`, as the file's name says it, or else its header; None where neither does."""
    said = _IN_NAME.findall(path.name)
    if said:
        return str(said[-1]).lower()
    try:
        with path.open("rb") as file:
            number = _file_type(file)
    except (OSError, struct.error, ValueError):
        return None
    return None if number is None else _FILE_TYPES.get(number)


def _file_type(file: BinaryIO) -> int | None:
    """`general.file_type` of a GGUF header, which comes before the long lists; None where it does not."""
    magic, _, _, keys = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF":
        return None
    for _ in range(min(keys, _MOST_KEYS)):
        key = _string(file)
        (kind,) = struct.unpack("<I", file.read(4))
        if key == _KEY and kind == _UINT32:
            return int(struct.unpack("<I", file.read(4))[0])
        count = 1
        if kind == _LIST:
            kind, count = struct.unpack("<IQ", file.read(12))
        if not _pass_over(file, kind, count):
            return None
    return None


def _pass_over(file: BinaryIO, kind: int, count: int) -> bool:
    """Read on behind so many values; False at the vocabulary's long lists, and at what is unknown."""
    if count > _MOST_VALUES or (kind != _STRING and kind not in _SIZES):
        return False
    for _ in range(count):
        if kind == _STRING:
            _string(file)
        else:
            file.read(_SIZES[kind])
    return True


def _string(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST:
        raise ValueError("no text of a header is so long")
    return file.read(length)


def files_in(folder: Path) -> list[Path]:
    """The models of a folder: a model in several parts is its first, and no projector of images."""
    found = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file())
    return [path for path in found if _is_first(path) and not path.name.startswith("mmproj")]


def _is_first(path: Path) -> bool:
    part = _LATER_PART.search(path.name)
    return part is None or int(part[1]) == 1


def chosen_file(place: Path, quantization: str | None) -> Path:
    """The GGUF file at `place`, or of that folder the one in this quantization; UsageError says which are there."""
    if not place.is_dir():
        return _checked(place, quantization)
    known = [(path, quantization_of(path)) for path in files_in(place)]
    there = ", ".join(dict.fromkeys(kind or path.name for path, kind in known)) or "no GGUF file"
    where = one_line(str(place), limit=120)
    fit = [path for path, kind in known if quantization in (None, kind)]
    if len(fit) == 1:
        return fit[0]
    if not known:
        raise UsageError(f"{where} holds no GGUF file; give a folder of them, or a file")
    if not fit:
        raise UsageError(
            f"quantization: {where} holds {there}, and no {quantization}; {_how(quantization, known[0][0])}"
        )
    if quantization is None:
        raise UsageError(f"{where} holds {there}; choose one by --set quantization={known[0][1] or 'NAME'}")
    raise UsageError(f"{where} holds several files in {quantization}: {_names(fit)}; give one of them as --model")


def _checked(path: Path, quantization: str | None) -> Path:
    kind = quantization_of(path)
    if quantization not in (None, kind):
        raise UsageError(
            f"quantization: {one_line(path.name, limit=80)} is {kind or 'of none that it says'}; leave it out"
        )
    return path


def _how(quantization: str | None, of: Path) -> str:
    wanted = _IN_NAME.sub(str(quantization).upper(), of.name)
    wanted = wanted if wanted != of.name else f"{of.stem}.{quantization}.gguf"
    known = "" if quantization in _NAMES else f" ({quantization} is no quantization that llama.cpp names)"
    return f"llama.cpp's `llama-quantize {of.name} {wanted} {quantization}` makes one{known}; see docs/PLANS.md"


def _names(paths: list[Path]) -> str:
    return one_line(", ".join(path.name for path in paths), limit=200)
