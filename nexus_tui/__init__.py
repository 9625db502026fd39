"""nexus-tui: train small language models in the terminal, and know which checkpoint is the best."""

import os

__version__ = "0.1.0"

# OpenMP's idle threads spin by default and starve everything else on the cores. Read once, when torch loads
# its OpenMP, so it stands here, before any import of torch (measured in docs/performance.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
