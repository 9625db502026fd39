"""Which lines of a parser's functions some inputs reach: `python -m tools.fuzz.lines NAME CORPUS`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tools.fuzz.targets import check, targets

ROOT = Path(__file__).parents[2]


def lines_of(module: Path) -> set[tuple[str, int]]:
    """The lines of a module's functions."""
    top = compile(module.read_text("utf-8"), str(module), "exec")
    functions = (code for code in _codes(top) if code.co_flags & 1)  # optimised: a function's, no class's
    return {(str(module), line) for code in functions for *_, line in code.co_lines()
            if line and line != code.co_firstlineno}  # fmt: skip


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def main() -> None:
    """Print how many lines are reached, and of how many."""
    target, corpus = targets()[sys.argv[1]], Path(sys.argv[2])
    modules = {str(ROOT / module) for module in target.modules}
    every = set[tuple[str, int]]().union(*(lines_of(Path(module)) for module in modules))
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if file not in modules:
            return None
        if event == "line":
            reached.add((file, frame.f_lineno))
        return trace

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            os.environ[variable] = str(folder / variable)
        (folder / "files").mkdir()
        target.prepare(folder / "files")
        sys.settrace(trace)
        for path in sorted(corpus.iterdir()):
            with contextlib.suppress(BaseException):
                check(target, folder / "files", path.read_bytes())
        sys.settrace(None)
    print(f"{len(reached & every):,} of {len(every):,}")


if __name__ == "__main__":
    main()
