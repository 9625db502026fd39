"""Threads for compiled kernels that release the GIL.

Why not Numba's own `prange`: its `workqueue` layer aborts the process when two threads use it at once, as
training and sampling do, and its `omp` layer needs a libgomp that not every machine has, and keeps a second
set of OpenMP threads beside torch's. In speed the two could not be told apart (2 threads, on a busy
machine).
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch


@functools.cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="kernel")


@functools.cache
def _asks_for_processor() -> Callable[[], int]:
    if not hasattr(os, "sched_setaffinity"):  # threads cannot be moved
        return lambda: -1
    return getattr(ctypes.CDLL(None), "sched_getcpu", lambda: -1)


def _processor() -> int:
    """The processor that the calling thread is on; -1 where that is not known or threads cannot be moved."""
    return _asks_for_processor()()


def _beside(taken: int, kernel: Callable[..., None], *arguments: Any) -> None:
    """Call the kernel on another processor than the one that is taken.

    Linux wakes a thread on its waker's processor when no other is idle, and that is so in training: torch's
    threads have only just stopped, or a background job of low priority runs. The two would then share one
    processor for longer than a kernel takes. Moved once, the thread is the scheduler's again.
    """
    if _processor() == taken != -1:
        allowed = os.sched_getaffinity(0)
        if len(allowed) > 1:
            os.sched_setaffinity(0, allowed - {taken})
            os.sched_setaffinity(0, allowed)
    kernel(*arguments)


def run(kernel: Callable[..., None], items: int, *operands: Any) -> None:
    """Call `kernel(counter, items, *operands)` on `torch.get_num_threads()` threads, this one among them.

    The kernel takes items by adding one to `counter[0]` (`tiles.take`) until none is left. So a thread that
    is held up by another process delays one item and not its share of all, and the GIL is needed once a
    thread, not once an item. Any number of threads may call at the same time.
    """
    counter = np.zeros(1, np.int64)
    helpers = min(torch.get_num_threads(), items) - 1
    here = _processor()
    futures = [_executor().submit(_beside, here, kernel, counter, items, *operands) for _ in range(helpers)]
    kernel(counter, items, *operands)
    for future in futures:
        if not future.cancel():  # one that has not begun has nothing left to do
            future.result()
