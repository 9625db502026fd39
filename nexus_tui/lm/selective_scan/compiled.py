"""Numba as the kernels use it: no GIL, and a cache in the user's cache folder.

Imported at the first scan and not before: Numba takes a third of a second.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs

from nexus_tui.jit import numba

if "NUMBA_CACHE_DIR" not in os.environ:
    # Numba notices a change of the file that holds a kernel, but not of what the kernel is made of.
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *here.with_name("step").glob("*.py")])
    parts = b"".join(path.read_bytes() for path in files)
    folder = Path(platformdirs.user_cache_dir("nexus-tui")) / "numba" / f"{zlib.crc32(parts):08x}"
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    numba.config.reload_config()  # type: ignore[no-untyped-call] # in case something else has imported Numba before

Kernel = Callable[..., Any]

# Numba's types for decorators fit ordinary functions, not these: in a kernel an intrinsic takes tiles.
_njit: Any = numba.njit
intrinsic: Any = numba.extending.intrinsic

# error_model: a division by zero gives an infinity, without a branch. No entries for callers that there are
# none of: a fifth of the time of compiling.
_OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def kernel(function: Kernel) -> Kernel:
    """Compile a function that Python calls, at its first call; the next process finds the machine code."""
    try:
        compiled: Kernel = _njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written: compile in every process
        compiled = _njit(**_OPTIONS)(function)
    return compiled


def part(function: Kernel) -> Kernel:
    """A function that kernels call, and Python cannot; LLVM copies it into them."""
    compiled: Kernel = _njit(no_cpython_wrapper=True, **_OPTIONS)(function)
    return compiled
