"""Work on a GPU that is captured when it is first asked for, and replayed from then on."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

WARM_UP = 3
"""Times that work is done before it is captured: libraries choose and load what they use."""


class Graphs:
    """CUDA graphs of works that share their memory, so no two may be under way at a time."""

    def __init__(self) -> None:
        self._captured: dict[Hashable, torch.cuda.CUDAGraph] = {}
        # Of one stream, that libraries have their handles and workspaces on it before anything is captured.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._captured

    def capture(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do some work a few times, and capture it."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # What other threads ask of the device, training say, is no part of this and no fault.
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            work()
        self._captured[key] = graph

    def replay(self, key: Hashable) -> None:
        """Do what was captured, on the current stream."""
        self._captured[key].replay()

    def forget(self) -> None:
        """Drop every graph: what they read is about to move."""
        torch.cuda.current_stream().synchronize()
        self._captured.clear()
        self._pool = torch.cuda.graph_pool_handle()  # one that no graph has any more cannot be shared again
