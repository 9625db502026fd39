"""How much more memory this process may take: of the machine, its control group, its limits, and a GPU."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_NONE = 1 << 60
"""Bytes from which on a limit is none: version 1 of cgroups writes the largest number of pages instead."""


_RESIDENT, _MAPPED, _WRITABLE = 370_000_000, 900_000_000, 290_000_000
"""Bytes of this program once torch is imported and the kernels are loaded, by what a limit counts."""
_ON_GPU = 200_000_000
"""Bytes of a GPU that kernels and the libraries' workspaces take once they are used; not measured."""


@dataclass(frozen=True)
class Room:
    """What one limit leaves."""

    free: int
    """Bytes that may still be taken."""
    program: int
    """Bytes of them that the program will take before it trains."""
    of: str
    """Whose limit, as the subject of a sentence."""


def rooms(root: Path = Path("/")) -> list[Room]:
    """All limits that are known here; `root` is where /proc and /sys are."""
    resident, mapped, writable = _own(root)
    program = max(0, _RESIDENT - resident)
    found = [Room(free, program, "this machine") for free in _machine(root)]
    for path, limit, taken in _groups(root):
        found.append(Room(max(0, limit - taken), program, f"the control group {path}"))
    for name, taken, whole in (("AS", mapped, _MAPPED), ("DATA", writable, _WRITABLE)):
        limit = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
        if 0 <= limit < _NONE:  # -1 stands for none
            of = f"the limit of this process (RLIMIT_{name}, {limit / 1e9:.1f} GB)"
            found.append(Room(max(0, limit - taken), max(0, whole - taken), of))
    return found


def of_gpu(device: torch.device) -> Room | None:
    """What is free on a GPU, whoever has the rest; None for the processor, and where CUDA does not say.

    Makes this process' CUDA context, if there is none, which is then no longer among what is free.
    """
    if device.type != "cuda":
        return None
    import torch

    with contextlib.suppress(RuntimeError):
        free, _ = torch.cuda.mem_get_info(device)
        again = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Room(free + again, _ON_GPU, "this GPU")
    return None


def _own(root: Path) -> tuple[int, int, int]:
    """Bytes of this process that are resident, that are mapped, and that are mapped to be written."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = [int(word) for word in (root / "proc/self/statm").read_text().split()]
        size = os.sysconf("SC_PAGE_SIZE")
        return pages[1] * size, pages[0] * size, pages[5] * size
    return 0, 0, 0


def _machine(root: Path) -> Iterator[int]:
    """What can be taken without swapping."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) << 10
                return
    with contextlib.suppress(OSError, ValueError):  # no Linux: what there is at all
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[tuple[str, int, int]]:
    """Of every control group around this process, outermost last: name, limit, what cannot be freed."""
    for version, mount, path in _places(root):
        names = _FILES[version]
        for group in (path, *path.parents):
            folder = root / mount / group.relative_to("/")
            limit, taken = (_number(folder / name) for name in names[:2])
            if limit is not None and taken is not None and limit < _NONE:
                yield f"/{group.relative_to('/')}", limit, max(0, taken - _cache(folder, names[2]))


_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Limit, usage, and the entry of memory.stat that says how much of it is cache that the kernel lets go."""


def _places(root: Path) -> Iterator[tuple[int, str, Path]]:
    """Version of the hierarchy, where it is mounted, and this process' group as seen from there."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        version = 1 if "memory" in controllers.split(",") else 2 if not controllers else 0
        for mount in mounts if version else ():
            fields, _, rest = mount.partition(" - ")
            kind, _, options = rest.split(" ", 2)
            limits = kind == "cgroup2" or "memory" in options.split(",")
            if limits and kind == ("cgroup2" if version == 2 else "cgroup"):
                top, at = fields.split(" ")[3:5]
                inside = path.removeprefix(top) if top != "/" and path.startswith(top) else path
                yield version, at.lstrip("/"), Path("/") / inside.lstrip("/")


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
        return int(path.read_text())
    return None


def _cache(folder: Path, entry: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == entry:
                return int(value)
    return 0
