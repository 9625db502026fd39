"""What a shell offers for RUN and RUN:STEP when tab is pressed. Imports no torch and reads no weights."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Names of runs, newest first, then of those that came with the program."""
    return [run.name for run in _runs(context) if run.name.startswith(incomplete)]


def complete_checkpoint(context: typer.Context, incomplete: str) -> list[str]:
    """Names of runs; after `RUN:`, what may be named of that run."""
    name, colon, which = incomplete.rpartition(":")
    if not colon:
        return complete_run(context, incomplete)
    run = next((run for run in _runs(context) if run.name == name), None)
    return [f"{name}:{each}" for each in _names(run) if each.startswith(which)] if run else []


def answer(command: Callable[[], object]) -> None:
    """Let `command` answer the shell, and end. Bash cuts words at a colon: it is asked with whole ones, and
    told what comes after the colon alone.
    """
    cut = _join_words()
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        command()
    for line in told.getvalue().splitlines():
        print(line.removeprefix(cut))
    sys.exit(0)


def _join_words() -> str:
    """Put together in the environment what bash has cut at colons. Returns what it holds back of the word."""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    place = int(os.environ.get("COMP_CWORD") or 0)
    cut = ""
    while ":" in words[1 : place + 1]:
        at = words.index(":", 1)
        after = words[at + 1] if at < place else ""
        words[at - 1 : at + 1 + (at < place)] = [f"{words[at - 1]}:{after}"]
        place -= 1 + (at < place)
        cut = words[place][: len(words[place]) - len(after)] if at - 1 == place else ""
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(place)
    return cut


def _runs(context: typer.Context) -> Iterator[Run]:
    """The runs, each name once. Only names that need no quoting: others are the user's to type."""
    from nexus_tui.runs.naming import NAME
    from nexus_tui.runs.store import Runs, runs_folder

    folder = context.params.get("runs")
    store = Runs(runs_folder(Path(folder) if folder else None))
    store.find_new()
    seen = set[str]()
    for run in [*store.runs(), *store.shipped()]:
        if NAME.fullmatch(run.name) and run.name not in seen:
            seen.add(run.name)
            yield run


def _names(run: Run) -> list[str]:
    """The kept checkpoints by their steps, averages by their names, and the words for two of them."""
    kept = run.checkpoints
    names = [name if run.averaged(name) else str(checkpoint.step) for name, checkpoint in kept.items()]
    return list(dict.fromkeys([*names, *(["best", "last"] if kept else [])]))
