"""`python -m benchmarks [NAME …]`: run benchmarks, each in a process of its own, and write their sections."""

import sys

from benchmarks.document import PERFORMANCE
from benchmarks.running import main

if __name__ == "__main__":
    sys.exit(main(PERFORMANCE, "benchmarks", __doc__ or ""))
