"""Steering a run that another process trains: the same wishes, sent through its channel."""

import contextlib
import getpass
import os
import socket
import threading
import time
from collections.abc import Callable

import msgspec

from nexus_tui.runs.run import Run
from nexus_tui.training.channel import FOLDER, WAIT, Hello, Reply, address, read_reply
from nexus_tui.training.control import Act

MAX_REPLY = 1 << 20
"""Bytes of an answer."""


class RemoteError(Exception):
    """The trainer cannot be reached, or refuses; the message says why and what to do."""


def why_not(run: Run) -> str:
    """Why a run cannot be steered from this process; empty if it can, as far as is known."""
    holder = run.holder
    if holder is None:
        return f"nobody trains {run.name} now."
    if holder.host not in ("", socket.gethostname()):
        return f"{run.name} is trained on {holder.host}; steer it there."
    if not (run.folder / FOLDER).is_dir():
        return f"process {holder.pid} trains {run.name} and has no socket; steer it there."
    return ""


def ask(run: Run, act: Act) -> Reply:
    """Ask for something and wait until it has been carried out. Raises RemoteError."""
    if reason := why_not(run):
        raise RemoteError(reason)
    with _connection(run) as connection:
        reply = _exchange(connection, act, WAIT + 5, run.name)
    if reply.error:
        raise RemoteError(f"{run.name}: {reply.error}")
    return reply


class RemoteControl:
    """Takes wishes as `Control` does, for a run that another process of this machine trains."""

    def __init__(self, run: Run, failed: Callable[[str], None]) -> None:
        """`failed` is told, in a thread of its own, why a wish was not carried out."""
        self._run = run
        self._failed = failed

    def request(self, act: Act) -> None:
        """Ask for something. Returns at once."""
        threading.Thread(target=self._ask, args=(act,), name="wish", daemon=True).start()

    def _ask(self, act: Act) -> None:
        try:
            ask(self._run, act)
        except RemoteError as error:
            self._failed(str(error))


class Presence:
    """Says at a run that somebody looks at it, and hears who else does, until `close`."""

    def __init__(self, run: Run) -> None:
        self.others: tuple[str, ...] = ()
        """Who else looks, as of the last `refresh`."""
        self.run = run
        self._connection: socket.socket | None = None

    def refresh(self) -> bool:
        """Say it again and hear. Returns whether others look now than before. Blocks for a second at most."""
        before = self.others
        try:
            if self._connection is None:
                self._connection = _connection(self.run)
            self.others = _exchange(self._connection, Hello(whoami()), 1.0, self.run.name).looking
        except RemoteError:
            self.close()
        return self.others != before

    def close(self) -> None:
        """Look no longer."""
        self.others = ()
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def whoami() -> str:
    """How somebody who looks is called: user and terminal."""
    with contextlib.suppress(OSError):
        return f"{_user()} on {os.ttyname(0).removeprefix('/dev/')}"
    return f"{_user()}, process {os.getpid()}"


def _user() -> str:
    with contextlib.suppress(Exception):  # no name is on record for this number
        return getpass.getuser()
    return f"user {os.getuid()}"


def _connection(run: Run) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(2.0)
        with address(run.folder / FOLDER) as where:
            _connect(connection, where)
    except OSError as error:
        connection.close()
        raise RemoteError(f"the trainer of {run.name} does not answer ({error.strerror}).") from None
    return connection


def _connect(connection: socket.socket, where: str) -> None:
    """Connect, also where so many do that there is no room for a moment. Raises OSError."""
    end = time.monotonic() + 2.0
    while True:
        try:
            return connection.connect(where)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _exchange(connection: socket.socket, act: Act, timeout: float, name: str) -> Reply:
    try:
        connection.settimeout(timeout)
        connection.sendall(msgspec.json.encode(act) + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            if not (part := connection.recv(65_536)):
                raise RemoteError(f"the trainer of {name} hung up before it answered; see its journal.")
            line += part
            if len(line) > MAX_REPLY:
                raise RemoteError(f"the trainer of {name} answered with more than an answer has.")
        return read_reply(line)
    except (OSError, ValueError) as error:
        raise RemoteError(f"the trainer of {name} did not answer ({error}).") from None
