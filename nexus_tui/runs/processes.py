"""Processes of this kernel: which kernel it is, and when a process began. Only Linux tells (proc(5))."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Here:
    """Where this process runs; empty where the system does not tell."""

    boot: str = ""
    """A name that a kernel gives itself when it is booted."""
    space: str = ""
    """The table in which process numbers are counted: each container may have its own."""
    since: float = 0.0
    """When it was booted, seconds since 1970."""


@cache
def here() -> Here:
    """This kernel and process table."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str((_PROC / "self/ns/pid").readlink())
        told = dict(line.split(" ", 1) for line in (_PROC / "stat").read_text("ascii").splitlines())
        return Here(boot, space, float(told["btime"]))
    except (OSError, ValueError, KeyError):
        return Here()


def began(pid: int) -> int:
    """When a process began, in ticks since the boot; 0 if it does not live or the system does not tell."""
    try:
        told = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return 0 if told[0] in (b"Z", b"X") else int(told[19])
    except (OSError, ValueError, IndexError):
        return 0
