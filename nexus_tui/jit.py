"""Numba, entered by this one door.

Its modules import each other in circles, so two threads that enter by different ones find halves of them. Who
imports this module waits until all of Numba is there.
"""

import numba
import numba.extending
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.core import cgutils, event, types
from numba.extending import lower_builtin, models, register_model, type_callable

__all__ = [
    "binding",
    "cgutils",
    "event",
    "ir",
    "lower_builtin",
    "models",
    "numba",
    "register_model",
    "type_callable",
    "types",
]
