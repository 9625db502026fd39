"""nexus-tui: train small language models in the terminal, and know which checkpoint is the best."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexus_tui.runs.loop import Journal
    from nexus_tui.runs.run import Run
    from nexus_tui.scripting import start, train

__all__ = ["Journal", "Run", "start", "train"]
__version__ = "0.1.0"

# OpenMP's idle threads spin by default and starve everything else on the cores. Read once, when torch loads
# its OpenMP, so it stands here, before any import of torch (measured in docs/performance.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_HOME = {
    "Journal": "nexus_tui.runs.loop",
    "Run": "nexus_tui.runs.run",
    "start": "nexus_tui.scripting",
    "train": "nexus_tui.scripting",
}


def __getattr__(name: str) -> Any:
    """What scripts import from here, fetched when asked for: a run opens without torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
