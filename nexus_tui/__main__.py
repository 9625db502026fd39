"""`nexus-tui`, and `python -m nexus_tui`."""

import os
import sys
from pathlib import Path

COMPLETING = "_NEXUS_TUI_COMPLETE"
"""Set by a shell whose tab was pressed."""


def _is_a_path(argument: str) -> bool:
    """Whether it can only be a folder: `runs` is a command first, in a folder that has one of that name."""
    return (os.sep in argument or argument in (".", "..")) and Path(argument).is_dir()


def main() -> None:
    """Run the program. The app on a folder needs no command line parser, which would double its start."""
    arguments = sys.argv[1:]
    if COMPLETING in os.environ:  # a shell asks with no arguments, too
        from nexus_tui.cli import complete

        complete()
    if not arguments or (len(arguments) == 1 and _is_a_path(arguments[0])):
        from nexus_tui.foreground import one_sentence, open_app

        with one_sentence():
            sys.exit(open_app(Path(arguments[0]) if arguments else None))
    from nexus_tui.cli import main as commands

    commands()


if __name__ == "__main__":
    main()
