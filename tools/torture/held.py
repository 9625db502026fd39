"""The real program in a real pseudo-terminal that is always read, and drawn only when that is asked for.

Ten thousand pictures of a terminal would take longer to draw than the program takes to send them.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from benchmarks.terminal import ANSWERS

APP = (sys.executable, "-m", "nexus_tui")
SIZE = (120, 36)


class Held:
    """The program, begun anew each time. Leave it as a context.

    Args:
        environment: more of it, or other.
        errors: a file that gets what the program says of errors.
        folder: where it is started.
    """

    def __init__(self, environment: Mapping[str, str], errors: Path, folder: Path) -> None:
        known = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self.heard = b""
        """What it has sent since `forget`."""
        self.columns, self.rows = SIZE
        self.screen = pyte.Screen(*SIZE)
        """What it shows, since `look`."""
        self.status: int | None = None
        """How it ended, once it has."""
        self._stream: pyte.ByteStream | None = None
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            try:
                os.chdir(folder)
                os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
                os.execvpe(APP[0], list(APP), {**os.environ, **known, **environment})
            except OSError as error:
                os.write(2, f"Error: {error}".encode())
            finally:
                os._exit(127)
        os.set_blocking(self._terminal, False)
        self.resize(*SIZE)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(OSError):
            os.close(self._terminal)

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self.columns, self.rows = columns, rows
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, data: bytes, seconds: float = 120.0) -> None:
        """Type something, reading meanwhile. Raises TimeoutError if it is not taken in so many seconds."""
        end = time.monotonic() + seconds
        while data and self.alive:
            if time.monotonic() > end:
                raise TimeoutError(f"it took no more keys for {seconds:g} s")
            try:
                data = data[os.write(self._terminal, data) :]
            except BlockingIOError:
                self.read(0.01)
            except OSError:  # it has ended
                return

    def read(self, seconds: float) -> None:
        """Read what comes, waiting for it for so long at most."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return
        try:
            while data := os.read(self._terminal, 1 << 16):
                self._take(data)
        except BlockingIOError:
            pass
        except OSError:  # it has ended
            time.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Read what comes for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def _take(self, data: bytes) -> None:
        self.heard = (self.heard + data)[-(1 << 18) :]
        if self._stream:
            self._stream.feed(data)
        for question, answer in ANSWERS.items():
            if question in data:
                with contextlib.suppress(OSError):
                    os.write(self._terminal, answer)

    def forget(self) -> None:
        """What was heard so far is of no interest."""
        self.heard = b""

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether something comes to be so within so many seconds."""
        end = time.monotonic() + seconds
        while not holds():
            left = end - time.monotonic()
            if left <= 0 or not self.alive:
                return holds()
            self.read(min(left, 0.05))
        return True

    def hears(self, words: bytes, seconds: float) -> bool:
        """Whether these words come within so many seconds."""
        return self.until(lambda: words in self.heard, seconds)

    def look(self, columns: int, rows: int) -> None:
        """Draw from now on what it sends; in a terminal of another size, so that it paints everything."""
        self.pause(0.02)
        if (columns, rows) == (self.columns, self.rows):
            self.resize(columns - 1, rows)
            self.pause(0.2)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(columns, rows)

    def look_away(self) -> None:
        """Draw no more."""
        self._stream = None

    @property
    def picture(self) -> str:
        """What stands on the screen."""
        return "\n".join(self.screen.display)

    def shows(self, pattern: str, seconds: float) -> bool:
        """Whether a pattern comes to stand on the screen within so many seconds."""
        return self.until(lambda: bool(re.search(pattern, self.picture)), seconds)

    def ended(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        self.until(lambda: not self.alive, seconds)
        return not self.alive

    def memory(self) -> float:
        """What it holds of the machine's memory, MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def doze(self) -> None:
        """Stop it and let it go on, as `kill -STOP` and `fg` do."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(0.05)
            os.kill(self.pid, signal.SIGCONT)
