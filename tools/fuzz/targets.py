"""The parsers that read what a stranger may have written, each with what it may refuse by."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.fuzz.making import Maker


@dataclass(frozen=True)
class Target:
    """One parser, or a few that read the same file."""

    name: str
    """Of the file, as a table has it."""
    modules: tuple[str, ...]
    """Whose lines count as the parser's."""
    read: Callable[[Path, bytes], None]
    """Puts the bytes where the parser looks for them, in an empty folder that is kept, and parses."""
    seeds: Callable[[], list[bytes]]
    """Valid files to begin from."""
    make: Callable[[Maker], bytes] | None = None
    """Hostile content that has the shape of the format."""
    refusals: tuple[str, ...] = ()
    """Names of the documented exceptions."""
    named: bool = True
    """Whether a refusal names the file that it is about."""
    prepare: Callable[[Path], None] = field(default=lambda _: None)
    """Makes what stands beside the file, once."""
    inputs: int = 60_000
    """That a whole run gives it: the fewer, the longer one takes."""


@functools.cache
def targets() -> dict[str, Target]:
    """Every target by its name."""
    from tools.fuzz import targets_corpora, targets_models, targets_others, targets_runs, targets_words

    groups = (
        targets_runs.TARGETS,
        targets_models.TARGETS,
        targets_others.TARGETS,
        targets_words.TARGETS,
        targets_corpora.TARGETS,
    )
    return {target.name: target for group in groups for target in group}


class DefectError(AssertionError):
    """What must hold of every input did not."""


def check(target: Target, folder: Path, data: bytes) -> bool:
    """Parse one input. Returns whether it was refused. Raises whatever is no documented refusal.

    The first byte says how the rest is meant: even, as the file; odd, as choices for `make`.
    """
    content = target.make(Maker(data[1:])) if target.make and data[:1] and data[0] & 1 else data[1:]
    try:
        target.read(folder, content)
    except Exception as error:
        if type(error).__name__ not in target.refusals:
            raise
        if target.named and str(folder) not in str(error):
            raise DefectError(f"a refusal that names no file: {type(error).__name__}: {error}") from error
        return True
    return False
