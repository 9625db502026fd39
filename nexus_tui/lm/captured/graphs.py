"""Work on a GPU that is captured when it is first asked for, and replayed from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import torch

CAPTURING = threading.Lock()
"""Held by who captures, training or sampling: to begin with, torch waits for all of the device, which a
capture in another thread does not bear."""
WARM_UP = 3
"""Times that work is done before it is captured: libraries choose and load what they use."""


class Graphs:
    """CUDA graphs of works on one stream that share their memory: no two are under way at a time.

    All is done on that one, where libraries thus have handles and workspaces before anything is captured.
    """

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._captured: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._stream = stream
        self._pool = torch.cuda.graph_pool_handle()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._captured

    def capture(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do some work a few times, and capture it; the stream is the current one."""
        for _ in range(WARM_UP):
            work()
        graph = torch.cuda.CUDAGraph()
        # What other threads ask of the device, training say, is no part of this and no fault.
        mode = "thread_local"
        with CAPTURING, torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode=mode):
            work()
        self._captured[key] = graph

    def replay(self, key: Hashable) -> None:
        """Do what was captured, on the current stream, which is that of capturing."""
        self._captured[key].replay()

    def forget(self) -> None:
        """Drop every graph: what they read is about to move."""
        self._stream.synchronize()
        self._captured.clear()
        self._pool = torch.cuda.graph_pool_handle()  # one that no graph has any more cannot be shared again
