"""What `make bench` measures: ratios, each in one run, the contenders in turn."""

import nexus_tui  # noqa: F401  (sets how OpenMP waits, before any torch)
