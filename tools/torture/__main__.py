"""`python -m tools.torture [NAME …]`: try faults, each section in its own process, and write what held."""

import sys

from benchmarks.running import main
from tools.torture.document import RELIABILITY

if __name__ == "__main__":
    sys.exit(main(RELIABILITY, "tools.torture", __doc__ or "", strict=True))
