"""What must never happen while a file is read: noticed by Python's audit hooks."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODE = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen",
    "pickle.find_class", "exec", "marshal.loads", "ctypes.dlopen", "code.__new__", "pty.spawn",
}  # fmt: skip
"""Events that mean that something of a file may run."""
NETWORK = {"socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request", "socket.sendto"}
MADE = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "os.chmod",
        "os.utime", "shutil.rmtree", "shutil.copyfile", "shutil.move"}  # fmt: skip
"""Events that change the disk, whose first argument is a path."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Notes writes outside some folders, code that is run, and connections; only while `on`.

    Code counts in the thread that watches alone, for others may compile kernels; with `code` false, nowhere.
    """

    def __init__(self, *folders: Path, code: bool = True) -> None:
        self.folders = [str(folder.resolve()) for folder in folders]
        self.seen: list[str] = []
        self._on = False
        self._thread = 0
        self._never = NETWORK | (CODE if code else set())
        sys.addaudithook(self._hook)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch what is done within."""
        self._on, self._thread = True, threading.get_ident()
        try:
            yield
        finally:
            self._on = False

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._on:
            return
        if event in ("socket.bind", "socket.connect") and isinstance(arguments[1], str | bytes):
            self._written(event, arguments[1])  # a Unix socket is a file
        elif event in self._never:
            if event in NETWORK or (threading.get_ident() == self._thread and not _imports()):
                self.seen.append(f"{event} {arguments!r}"[:300])
        elif event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _WRITES) if isinstance(flags, int) else "r" not in str(mode or "r")
            if writes:
                self._written(event, path)
        elif event in ("os.rename", "os.link"):
            self._written(event, arguments[0], arguments[2])
            self._written(event, arguments[1], arguments[3])
        elif event == "os.symlink":
            self._written(event, arguments[1], arguments[2])
        elif event in MADE:
            self._written(event, arguments[0], arguments[-1])

    def _written(self, event: str, path: object, folder: object = -1) -> None:
        """`folder` is the descriptor of that which a path is in, or -1."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        named = Path(os.fsdecode(path))
        if isinstance(folder, int) and folder > 2:
            named = Path(f"/proc/self/fd/{folder}") / named
        where = str(named.parent.resolve())
        if str(named) == os.devnull or str(named.absolute()) in self.folders:
            return
        if not any(where == each or where.startswith(each + "/") for each in self.folders):
            self.seen.append(f"{event} {os.fsdecode(path)}"[:300])


def _imports() -> bool:
    """Whether it is Python itself that imports one of its modules now."""
    frame = sys._getframe(2)
    while frame:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
