"""Copying to the terminal's clipboard, and to a file, because not every terminal lets a program do that."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import platformdirs
from textual.app import App


def state_folder() -> Path:
    """Where this user's prompts and copied texts are kept; not made yet."""
    return platformdirs.user_state_path("nexus-tui")


def copy(app: App[Any], text: str, what: str) -> str:
    """Copy a text (OSC 52) and keep it in a file. Returns what to tell the user; `what` names the text."""
    app.copy_to_clipboard(text)
    path = state_folder() / "copied.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        return f"Copied {what}; {path} cannot be written ({error.strerror})."
    return f"Copied {what}; also in {short_path(path)}"


def export(stem: str, text: str) -> str:
    """Write a text to a new Markdown file in the folder `exports` of the program's state.

    Returns a sentence to tell the user; `stem` is the file's name, made safe and unique.
    """
    safe = re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "text"
    folder = state_folder() / "exports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for path in _names(folder, safe) if not path.exists())
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return f"Nothing was written: {folder} cannot be written ({error.strerror})."
    return f"Written to {short_path(path)}"


def _names(folder: Path, stem: str) -> Iterator[Path]:
    yield folder / f"{stem}.md"
    yield from (folder / f"{stem}-{number}.md" for number in count(2))


def short_path(path: Path) -> str:
    """A path as people write it: from the current folder or from home, whichever it is under."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a link such as `best` stays a link
    for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and path != base:
            return f"{sign}{path.relative_to(base)}"
    return str(path)
