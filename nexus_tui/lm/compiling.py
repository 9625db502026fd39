"""Knowing that kernels are being compiled, which takes seconds, and not just loaded from the cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event


class _Announcer(event.Listener):
    """Calls `announce` at the first compilation that begins in the thread that made it."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce, self._thread, self._said = announce, threading.get_ident(), False

    def on_start(self, event: Any) -> None:  # noqa: ARG002
        if not self._said and threading.get_ident() == self._thread:
            self._said = True
            self._announce()

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def announced(announce: Callable[[], None]) -> Iterator[None]:
    """Within, call `announce` once when this thread begins to compile; never if all is in the cache."""
    with event.install_listener("numba:compile", _Announcer(announce)):
        yield
