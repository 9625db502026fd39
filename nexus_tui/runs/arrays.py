"""A .npy file's numbers. numpy's own reader would first make room for as much as a header claims."""

import io
import math
import warnings
from typing import Any

import numpy as np


def read_npy(data: bytes) -> "np.ndarray[Any, Any]":
    """The bytes of a .npy as an array of numbers, none larger than the bytes.

    Raises ValueError, SyntaxError, or whatever else numpy has for a header that is none.
    """
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another version")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a header that Python 2 may have written is none of ours
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    count = math.prod(shape)
    if dtype.kind not in "biuf" or fortran or count * dtype.itemsize != len(data) - file.tell():
        raise ValueError("it is no array of numbers")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape).copy()
