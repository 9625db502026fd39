"""Who holds a lock, and whether it lives: by this kernel's process table, or by its last sign of life."""

import contextlib
import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nexus_tui.runs import processes

BEAT = 20.0
"""Seconds between two signs of life."""
SILENT = 5 * BEAT
"""Seconds without one after which another host's holder is taken for dead."""


@dataclass(frozen=True)
class Holder:
    """The process that trains a run."""

    pid: int
    host: str
    boot: str = field(default="", compare=False)
    """Of the kernel that it runs on; empty where that is not known."""
    space: str = field(default="", compare=False)
    """In which its number is counted: a container has its own."""
    began: int = field(default=0, compare=False)
    """When it began, in ticks since the boot: the next process of its number began later."""


def ourselves() -> Holder:
    """This process."""
    here = processes.here()
    return Holder(os.getpid(), socket.gethostname(), here.boot, here.space, processes.began(os.getpid()))


def lives(found: Holder, beat: float, now: float) -> bool:
    """Whether somebody who does not have the kernel's lock, as far as is seen from here, lives all the same.

    `beat` is its last sign of life.
    """
    here = processes.here()
    if found.host in ("", socket.gethostname()):
        if not found.boot or (found.boot == here.boot and found.space != here.space):
            return False  # a kernel's own locks hold for all of its processes
        if found.boot == here.boot:
            return processes.began(found.pid) == found.began
        if beat < here.since:  # of before the boot
            return False
    return abs(now - beat) < SILENT


def is_dead(found: Holder) -> bool:
    """Whether this kernel's process table says that somebody does not live."""
    here = processes.here()
    known = bool(found.boot) and found.host == socket.gethostname()
    known = known and (found.boot, found.space) == (here.boot, here.space)
    return known and processes.began(found.pid) != found.began


def words(holder: Holder | None, silent: float) -> str:
    """Who it is, silent for so many seconds, and what to do."""
    if holder is None:
        return "another process; stop it there first"
    who = f"process {holder.pid} on {holder.host}"
    if holder.host == socket.gethostname():
        return f"{who}; stop it there first"
    last = f"whose last sign of life is {max(silent, 0):.0f} s old"
    return f"{who}, {last}; stop it there first, or resume after {SILENT:.0f} s of silence"


def read_from(path: Path) -> Holder | None:
    """Who a lock's file names; None for nobody."""
    with contextlib.suppress(OSError), open(path, opener=at_once) as file:
        return read(file)
    return None


def read(file: IO[str]) -> Holder | None:
    """Who an open one names; None for nobody."""
    try:
        file.seek(0)
        content = json.loads(file.read(4096))
        return Holder(
            int(content["pid"]) & 0x7FFFFFFF,  # as large as the kernel's numbers are
            str(content["host"])[:255],
            str(content.get("boot", "")),
            str(content.get("space", "")),
            int(content.get("began", 0)),
        )
    except (ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError, OverflowError):
        return None


def at_once(path: str, flags: int) -> int:
    """Open what stands in a lock's place without waiting for anybody at its other end, if it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
