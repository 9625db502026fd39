"""What a training step frees stays with the process: the next step takes it again."""

import contextlib
import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3), from glibc's malloc.h."""
_KEPT = 1 << 30
"""Bytes: an end of the heap as large as this, or a single block, is still given back."""


def keep_freed_memory() -> None:
    """Tell the C library's allocator to keep freed memory, and to have one heap for all threads.

    By default glibc gives the end of a heap back to the kernel when a step has freed its activations, and a
    thread other than the first has heaps of 64 MB, given back one by one. The kernel then returns the memory
    as zeroed pages of 4 KB, some thousand faults a step. Call it before the thread that trains begins; does
    nothing where the C library has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _KEPT), (_ARENA_MAX, 1)):
        mallopt(parameter, value)


def give_back_memory() -> None:
    """Give what is free to the kernel, and to the GPU's other users: training has ended."""
    gc.collect()
    torch = sys.modules.get("torch")  # nobody has a GPU's memory who has not imported it
    if torch is not None and torch.cuda.is_initialized():
        with contextlib.suppress(RuntimeError):  # of a GPU that has failed, nothing can be had any more
            torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
