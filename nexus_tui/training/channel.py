"""How a run is steered from other processes: a Unix socket in its folder, one JSON object a line each way.

Only the user who trains the run gets in: the folder is 0700, the socket 0600, and the kernel is asked whose
process calls. A line is an act of `control`, or `hello`; the answer comes when it has been carried out.
"""

import contextlib
import math
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nexus_tui.training.control import Act, AnyAct, Control

FOLDER, SOCKET = "control", "socket"
MAX_LINE = 16_384
"""Bytes of one message; a longer one ends the connection."""
MAX_CALLERS = 32
"""At once; one more, and who has said nothing for the longest is hung up on: nobody keeps others out."""
ROOT = 0
WAIT = 60.0
"""Seconds within which a trainer carries out what it is asked for, or the answer says that it has not yet."""
_UNREAD = struct.pack("ll", 5, 0)
"""Seconds and microseconds after which who does not read its answers is hung up on."""
_LONGEST = 100
"""Bytes that a socket's path may have, with some room: Linux allows 107."""


class Hello(Act, frozen=True):
    """Somebody looks at the run for as long as this connection lasts."""

    who: Annotated[str, msgspec.Meta(max_length=200)]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one line."""

    step: int | None = None
    """Where it was carried out."""
    error: str = ""
    """Why it was not."""
    looking: tuple[str, ...] = ()
    """To a hello: who else looks."""


def read_wish(line: bytes) -> "AnyAct | Hello":
    """What a caller asks for. Raises ValueError for a line that is no wish."""
    asked: AnyAct | Hello = _decoded(line, AnyAct | Hello)
    return asked


def read_reply(line: bytes) -> Reply:
    """A trainer's answer. Raises ValueError for a line that is none."""
    answer: Reply = _decoded(line, Reply)
    return answer


def _decoded(line: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(line, type=kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise ValueError(str(error)[:200]) from None


@dataclass
class _Caller:
    """Somebody connected."""

    who: str = ""
    heard: float = field(default_factory=time.monotonic)
    """When its last line came, or it did; infinite while it is being answered."""


class Channel:
    """Takes wishes for a trainer from other processes until `close`. Raises OSError without a socket."""

    def __init__(self, run: Path, control: Control) -> None:
        self._control = control
        self._folder = run / FOLDER
        self._callers: dict[socket.socket, _Caller] = {}
        self._closed = False
        _make_private(self._folder)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with address(self._folder) as where:
                Path(where).unlink(missing_ok=True)  # whoever left it is gone: the run's lock is ours
                before = os.umask(0o177)
                try:
                    self._socket.bind(where)
                finally:
                    os.umask(before)
        except OSError:
            self._socket.close()
            raise
        self._socket.listen(4 * MAX_CALLERS)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more, and take the socket away."""
        self._closed = True
        for one in [self._socket, *self._callers]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        with contextlib.suppress(OSError):
            (self._folder / SOCKET).unlink(missing_ok=True)
            self._folder.rmdir()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.1)  # too many files are open, say
                continue
            if not _is_ours(caller):
                caller.close()
                continue
            if len(self._callers) >= MAX_CALLERS:
                self._hang_up_on_the_silent()
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _UNREAD)
            self._callers[caller] = _Caller()
            threading.Thread(target=self._serve, args=(caller,), name="caller", daemon=True).start()

    def _hang_up_on_the_silent(self) -> None:
        callers = self._callers.copy()
        silent = min(callers, key=lambda one: callers[one].heard)
        self._callers.pop(silent, None)
        with contextlib.suppress(OSError):
            silent.shutdown(socket.SHUT_RDWR)  # its thread closes it

    def _serve(self, caller: socket.socket) -> None:
        said = self._callers.get(caller, _Caller())
        try:
            with caller, caller.makefile("rb") as lines:
                while (line := lines.readline(MAX_LINE + 1)) and len(line) <= MAX_LINE:
                    said.heard = math.inf
                    caller.sendall(msgspec.json.encode(self._answer(caller, said, line)) + b"\n")
                    said.heard = time.monotonic()
        except OSError:
            pass  # it hung up
        finally:
            self._callers.pop(caller, None)

    def _answer(self, caller: socket.socket, said: _Caller, line: bytes) -> Reply:
        try:
            asked = read_wish(line)
        except ValueError as error:
            return Reply(error=f"that is no wish: {error}.")
        if isinstance(asked, Hello):
            said.who = asked.who
            others = [
                one.who for other, one in self._callers.copy().items() if one.who and other is not caller
            ]
            return Reply(looking=tuple(others))
        wish = self._control.request(asked)
        if not wish.wait(WAIT):
            return Reply(error=f"asked for, but not carried out within {WAIT:.0f} s: the trainer is busy.")
        return Reply(step=wish.step, error=wish.refusal)


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """A path of the socket in a folder that is short enough for one."""
    path = str(folder / SOCKET)
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}/{SOCKET}"
    finally:
        os.close(opened)


def _make_private(folder: Path) -> None:
    """A folder that only its owner may enter. Raises OSError for one that is a link or somebody else's."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of yours")
    folder.chmod(0o700)


def _is_ours(caller: socket.socket) -> bool:
    """Whether the process at the other end is this user's, or root's."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user in (os.getuid(), ROOT)
