"""What `make torture` does to the program, each for real, and what must hold all the same.

A section is a module with a `main()` that prints Markdown to standard output; its docstring is the section's
introduction in docs/reliability.md. Every figure that has a bound is a line of `tools.torture.figures`, and
the exit status is `Figures.status`. It is run as `python -m tools.torture.NAME`, as the leader of a session
that is killed whole when its time is over, with one thread. What it needs of files it makes in a
temporary folder.
"""

import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported: processes are forked, threads are not
