"""A program in a real pseudo-terminal: what it sends and when, what stands on its screen, what it costs."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",  # synchronised output: known, off
    b"\x1b]10;?": b"\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\",
    b"\x1b]11;?": b"\x1b]11;rgb:1010/1010/1010\x1b\\",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[c": b"\x1b[?62;22c",
}
"""What a terminal of today says when it is asked; a program that is not answered may wait for seconds."""


@dataclass(frozen=True)
class Piece:
    """Bytes that came together, `at` so many seconds of `time.perf_counter`."""

    at: float
    data: bytes


class Program:
    """A command in a terminal of its own, in which nobody is but a clock. Leave it as a context.

    Args:
        command: what to start.
        columns: of the terminal, rows: of it.
        environment: more of it, or other.
    """

    def __init__(
        self, command: Sequence[str], columns: int, rows: int, environment: Mapping[str, str] | None = None
    ) -> None:
        known = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        environment = {**os.environ, **known, **(environment or {})}
        environment.pop("NO_COLOR", None)
        self.pieces: list[Piece] = []
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._shown = 0
        self.started = time.perf_counter()
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            _resize(0, columns, rows)
            os.execvpe(command[0], list(command), environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._reader.join(5)
        with contextlib.suppress(OSError):
            os.close(self._terminal)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._terminal, 1 << 16):
                self.pieces.append(Piece(time.perf_counter(), data))
                for question, answer in ANSWERS.items():
                    if question in data:
                        os.write(self._terminal, answer)

    def press(self, keys: str) -> float:
        """Type something. Returns when."""
        at = time.perf_counter()
        os.write(self._terminal, keys.encode())
        return at

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; what stands on the screen stays as it is."""
        _resize(self._terminal, columns, rows)

    def sent(self, since: float = 0.0) -> int:
        """How many bytes came after a moment."""
        return sum(len(piece.data) for piece in self.pieces if piece.at > since)

    def step(self) -> Piece | None:
        """Put the next piece on the screen, if one has come. Returns it."""
        if self._shown == len(self.pieces):
            return None
        piece = self.pieces[self._shown]
        self._shown += 1
        self._stream.feed(piece.data)
        return piece

    @property
    def lines(self) -> list[str]:
        """The screen as of the last `step`."""
        return list(self._screen.display)

    def wait(self, pattern: str, seconds: float = 120.0) -> float:
        """Until a pattern stands on the screen. Returns when its bytes came. Raises TimeoutError."""
        return self.until(lambda lines: bool(re.search(pattern, "\n".join(lines))), pattern, seconds)

    def until(self, holds: Callable[[list[str]], bool], what: str, seconds: float = 120.0) -> float:
        """Until something holds of the screen. Returns when its bytes came. Raises TimeoutError."""
        end, at = time.perf_counter() + seconds, self.started
        while True:
            piece = self.step()
            at = piece.at if piece else at
            if holds(self.lines):
                return at
            if piece is None:
                if time.perf_counter() > end:
                    raise TimeoutError(f"no {what!r} on the screen:\n" + "\n".join(self.lines))
                time.sleep(0.002)

    def settle(self, quiet: float = 2.0, seconds: float = 120.0) -> float:
        """Until nothing has come for so long. Returns when the last bytes came. Raises TimeoutError."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) - (self.pieces[-1].at if self.pieces else now) < quiet:
            if now > end:
                raise TimeoutError("the screen never comes to rest")
            time.sleep(0.05)
        while self.step():
            pass
        return self.pieces[-1].at

    def calm(self, seconds: float = 120.0) -> None:
        """Until a second has passed in which hardly anything was computed. Raises TimeoutError."""
        end, before = time.perf_counter() + seconds, self.processor()
        while True:
            time.sleep(1.0)
            now = self.processor()
            if now - before <= 0.03:
                return
            if time.perf_counter() > end:
                raise TimeoutError("the program always computes something")
            before = now

    def processor(self) -> float:
        """Processor time of the program so far, seconds, in hundredths. Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def drawing(self) -> float:
        """Processor time of the thread that the program began with, which draws; seconds. Linux only."""
        stat = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text("ascii")
        return int(stat.split()[0]) / 1e9


def _resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
