"""Arrays that grow at the end without being copied each time."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Column:
    """A one-dimensional array with room to grow; `view()` is the filled part, without a copy."""

    def __init__(self, dtype: Any = np.float64) -> None:
        self._data = np.empty(16, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: float) -> None:
        """Add one value; amortised constant time."""
        if self._length == len(self._data):
            self._data = np.concatenate([self._data, np.empty_like(self._data)])
        self._data[self._length] = value
        self._length += 1

    def extend(self, values: "Sequence[float | None] | np.ndarray[Any, Any]") -> None:
        """Add [n] values; None counts as NaN."""
        end = self._length + len(values)
        if end > len(self._data):
            room = np.empty(max(end, 2 * len(self._data)), self._data.dtype)
            room[: self._length] = self._data[: self._length]
            self._data = room
        self._data[self._length : end] = values
        self._length = end

    def view(self) -> "np.ndarray[Any, Any]":
        """The values so far, read-only. A later append leaves an earlier view as it was."""
        view = self._data[: self._length]
        view.flags.writeable = False
        return view


class Table:
    """Columns of equal length, reached by name."""

    def __init__(self, **dtypes: Any) -> None:
        self._columns = {name: Column(dtype) for name, dtype in dtypes.items()}

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> "np.ndarray[Any, Any]":
        return self._columns[name].view()

    def append(self, **values: float) -> None:
        """Add one row; every column must be given."""
        for name, column in self._columns.items():
            column.append(values[name])

    def extend(self, **values: "Sequence[float | None] | np.ndarray[Any, Any]") -> None:
        """Add rows, [n] values a column; every column must be given."""
        for name, column in self._columns.items():
            column.extend(values[name])
