"""Threads for compiled kernels that release the GIL."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="scan")


def run_slices(kernel: Callable[[int, int], None], items: int) -> None:
    """Call `kernel(first, last)` so that `[0, items)` is covered once, on up to `torch.get_num_threads()` threads.

    The calling thread takes a slice itself. Any number of threads may call at the same time.
    """
    slices = min(torch.get_num_threads(), items)
    bounds = [items * i // slices for i in range(slices + 1)]
    others = [_executor().submit(kernel, bounds[i], bounds[i + 1]) for i in range(1, slices)]
    kernel(bounds[0], bounds[1])
    for other in others:
        other.result()
