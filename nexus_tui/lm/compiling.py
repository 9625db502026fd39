"""Compiling kernels: to know when it happens, and to have it done in the background.

`python -m nexus_tui.lm.compiling` compiles what sampling needs, for the processes that come after it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nexus_tui.jit import event


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


def for_sampling() -> subprocess.Popen[bytes]:
    """Begin to compile what sampling needs, in another process: a thread would hold this one up."""
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    """Take one step with a model; its size does not matter."""
    from nexus_tui.lm import decoding
    from nexus_tui.lm.config import JambaConfig
    from nexus_tui.lm.hybrid import HybridLM

    decoding.warm_up(HybridLM(JambaConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=4)))


if __name__ == "__main__":
    main()
