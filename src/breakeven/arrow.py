"""NumPy columns as Arrow arrays: NaN is null there, null is NaN here.

arro3 makes no NumPy array of an array with nulls, and no nulls of a NumPy array, so that the first is read through the
C data interface (https://arrow.apache.org/docs/format/CDataInterface.html) and the second is made by taking places.
"""

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


class _Array(ctypes.Structure):
    """struct ArrowArray, as far as it is read here."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    )


_pointer: Final = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def to_numpy(array: Any) -> NDArray[Any]:
    """A new NumPy array of an arro3 array of numbers; null is NaN among floats, -1 among whole numbers."""
    if not array.null_count:
        return np.array(array.to_numpy())
    values = np.array(_values(array))
    values[_is_null(array)] = np.nan if np.issubdtype(values.dtype, np.floating) else -1
    return values


def from_floats(values: NDArray[Any]) -> Any:
    """An arro3 array of floats, null where there is NaN."""
    from arro3.core import Array

    undefined = np.isnan(values)
    if not undefined.any():
        return Array.from_numpy(np.ascontiguousarray(values))
    return _with_null(Array.from_numpy(np.ascontiguousarray(values))).take(_places(undefined))


def from_codes(codes: NDArray[np.int32], names: tuple[str, ...]) -> Any:
    """An arro3 dictionary of texts; null where the code is -1."""
    from arro3.core import Array, DataType

    texts = Array([*names, None], type=DataType.utf8())
    places = np.where(codes < 0, len(names), codes).astype(np.uint32)
    return texts.take(Array.from_numpy(places)).cast(DataType.dictionary(DataType.int32(), DataType.utf8()))


def _with_null(array: Any) -> Any:
    """The array and one null after it."""
    from arro3.core import Array, ChunkedArray

    return ChunkedArray([array, Array([None], type=array.type)]).combine_chunks()


def _places(undefined: NDArray[np.bool_]) -> Any:
    from arro3.core import Array

    return Array.from_numpy(np.where(undefined, undefined.size, np.arange(undefined.size)).astype(np.uint32))


def _is_null(array: Any) -> NDArray[np.bool_]:
    """From the validity bitmap: bit 0 of its first byte is the first value; 0 is null."""
    _, capsule = array.__arrow_c_array__()
    told = _Array.from_address(_pointer(capsule, b"arrow_array"))
    end = told.offset + told.length
    bytes_ = (ctypes.c_uint8 * ((end + 7) // 8)).from_address(told.buffers[0])
    bits = np.unpackbits(np.frombuffer(bytes_, dtype=np.uint8), bitorder="little", count=end)
    return np.asarray(bits[told.offset :] == 0, dtype=np.bool_)


def _values(array: Any) -> NDArray[Any]:
    """The values with whatever stands where there is null."""
    kind = _kind(array.type)
    _, capsule = array.__arrow_c_array__()
    told = _Array.from_address(_pointer(capsule, b"arrow_array"))
    size = (told.offset + told.length) * kind.itemsize
    found = np.frombuffer((ctypes.c_uint8 * size).from_address(told.buffers[1]), dtype=kind)
    return np.array(found[told.offset :])


def _kind(told: Any) -> np.dtype[Any]:
    """TypeError for anything but the numbers that are kept here."""
    from arro3.core import DataType

    kinds = {"f8": DataType.float64(), "f4": DataType.float32(), "i4": DataType.int32(), "i8": DataType.int64()}
    for name, kind in kinds.items():
        if told == kind:
            return np.dtype(name)
    raise TypeError(f"no column of numbers: {told}")
