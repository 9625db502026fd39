"""Prompts that are not typed: a file, or a pasted text too long or too strange for an editor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nexus_tui.tui import format
from nexus_tui.tui.safe import plain

LIMIT = 16_384
"""Bytes of a prompt that are read, its last ones: attention makes the time for more grow with its square."""
_CONTINUES = 0b1000_0000
"""First bits of a byte within a character of UTF-8, under a mask of 0b1100_0000."""


@dataclass(frozen=True)
class LongPrompt:
    """Bytes that are continued as they are, shown by name."""

    name: str
    data: bytes
    """What is read of it: at most LIMIT bytes, the last ones."""
    total: int
    """Bytes of all of it."""

    @property
    def text(self) -> str | bytes:
        """What a checkpoint continues: text if it is UTF-8, else the bytes."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            return self.data

    @property
    def about(self) -> str:
        """Name, size, how much of it is read, and whether it is text."""
        parts = [f"{plain(self.name)}, {format.count(self.total)} bytes"]
        if len(self.data) < self.total:
            parts.append(f"the last {format.count(len(self.data))} are the prompt")
        if isinstance(self.text, bytes):
            parts.append("no UTF-8 text: only a model of bytes can read it")
        return "; ".join(parts)


def editable(text: str) -> bool:
    """Whether an editor shows a text as it is: not long, nothing hidden, nothing that steers a terminal."""
    if len(text) > LIMIT or len(text.encode("utf-8", "surrogatepass")) > LIMIT:
        return False
    return text.replace("\n", "").replace("\t", "").isprintable()


def long_prompt(name: str, data: bytes, total: int | None = None) -> LongPrompt:
    """A prompt of the last LIMIT bytes of some data, cut between characters if it is UTF-8."""
    last = data[-LIMIT:]
    if len(last) < len(data) or (total or 0) > len(data):
        start = next((i for i in range(min(4, len(last))) if last[i] & 0b1100_0000 != _CONTINUES), 0)
        try:
            last[start:].decode()
            last = last[start:]
        except UnicodeDecodeError:
            pass
    return LongPrompt(name, last, len(data) if total is None else total)


def read_prompt(path: Path) -> str | LongPrompt:
    """A file as a prompt: text for the editor if it is short and plain, else its last bytes by name.

    Raises OSError, or ValueError in one sentence for what is no file with something in it.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; choose a file in it.")
    if not path.is_file():
        raise ValueError(f"{path} is no file." if path.exists() else f"There is no file {path}.")
    with path.open("rb") as file:
        total = file.seek(0, 2)
        file.seek(max(0, total - LIMIT - 3))  # three more: a character may begin there
        data = file.read(LIMIT + 3)
    if not data:
        raise ValueError(f"{path} is empty.")
    try:
        text = data.decode()
        if total <= LIMIT and editable(text):
            return text
    except UnicodeDecodeError:
        pass
    return long_prompt(path.name, data, total)
