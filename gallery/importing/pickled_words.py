"""What a pickle names of numpy, and what each of these words means here: no function of theirs is called."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from gallery.errors import GalleryError

ADVICE = "import the pictures instead: visaged import --from-face-recognition DIR"
NUMPY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
FLOATS = ("f2", "f4", "f8")
ORDERS = {"<": "<", ">": ">", "=": "=", "|": "="}
CALLABLE = {
    **{(module, "_reconstruct"): "array" for module in NUMPY_MODULES},
    **{(module, "scalar"): "scalar" for module in NUMPY_MODULES},
    ("numpy.core.numeric", "_frombuffer"): "buffer",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    # How protocol 2 writes bytes.
    ("_codecs", "encode"): "encode",
}
"""What a pickle of such data names; to us these are words, whose meaning is written down below."""


class PickleRefused(GalleryError):
    """A pickle that is damaged, or holds more than names and numbers."""


@dataclass(frozen=True, slots=True)
class Name:
    """One of CALLABLE."""

    meaning: str
    """What it stands for."""


@dataclass(slots=True)
class FloatType:
    """numpy's dtype, as far as we know them."""

    code: str
    """f4 or the like."""
    order: str = "="
    """Byte order."""

    def resolved(self) -> np.dtype[np.floating]:
        """numpy's own."""
        return np.dtype(self.order + self.code)


@dataclass(slots=True)
class Array:
    """numpy's ndarray, empty until its content comes."""

    content: NDArray[np.floating] | None = field(default=None)
    """None: not yet."""


Value = object
"""dict, list, tuple, str, bytes, int, float, bool, None, or one of these."""


def refuse(what: str) -> NoReturn:
    raise PickleRefused(
        f"it holds {what}, and a pickle can run programs: only names, lists, dicts and numbers are taken; "
        + ADVICE
    )


def named(module: Value, attribute: Value) -> Name:
    meaning = CALLABLE.get((str(module), str(attribute)))
    if meaning is None:
        refuse(f"{str(module)[:60]!a}.{str(attribute)[:60]!a}")
    return Name(meaning)


def called(meaning: str, arguments: tuple[Value, ...]) -> Value:
    if meaning == "array" and len(arguments) == 3 and arguments[0] == Name("ndarray"):
        return Array()
    if meaning == "dtype" and arguments and isinstance(arguments[0], str):
        return _dtype(arguments[0])
    if meaning == "buffer" and len(arguments) == 4:
        raw, dtype, shape, order = arguments
        return Array(array_of(raw, dtype, shape, order))
    if meaning == "scalar" and len(arguments) == 2:
        dtype, raw = arguments
        return float(array_of(raw, dtype, (1,), "C")[0])
    if meaning == "encode" and len(arguments) == 2 and arguments[1] == "latin1":
        return str(arguments[0]).encode("latin1")
    return refuse(f"a call of {meaning}")


def _dtype(text: str) -> FloatType:
    code = text[1:] if text[:1] in ORDERS else text
    if code not in FLOATS:
        refuse(f"an array of {text[:20]!a} instead of floating-point numbers")
    return FloatType(code, ORDERS.get(text[:1], "="))


def array_of(raw: Value, dtype: Value, shape: Value, order: Value) -> NDArray[np.floating]:
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, FloatType) or order not in ("C", "F"):
        refuse("an array of objects")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        refuse("an array without a shape")
    found = dtype.resolved()
    if math.prod(shape) * found.itemsize != len(raw):
        raise PickleRefused("it is damaged: an array is not as large as it says")
    return np.frombuffer(raw, found).reshape(shape, order="F" if order == "F" else "C")
