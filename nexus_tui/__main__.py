"""`python -m nexus_tui` is `nexus-tui`."""

from nexus_tui.cli import main

main()
