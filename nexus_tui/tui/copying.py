"""Copying to the terminal's clipboard, and to a file, because not every terminal lets a program do that."""

from __future__ import annotations

import os
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


def short_path(path: Path) -> str:
    """A path as people write it: from the current folder or from home, whichever it is under."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a link such as `best` stays a link
    for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and path != base:
            return f"{sign}{path.relative_to(base)}"
    return str(path)
