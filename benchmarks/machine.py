"""What the figures were measured on."""

import importlib.metadata
import os
import platform
import re
import time
from pathlib import Path


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """What this program runs on, in one line."""
    return (
        f"{cores()} × {_processor()}, Python {platform.python_version()}, "
        f"torch {importlib.metadata.version('torch')}"
    )


def has_gpu() -> bool:
    """Whether torch finds a GPU here."""
    import torch  # a second that only what asks need wait for

    return torch.cuda.is_available()


def busy(seconds: float = 1.0) -> float:
    """The share of the processors that was at work, for whomever, during so many seconds from now."""
    before = _ticks()
    time.sleep(seconds)
    idle, total = (after - then for after, then in zip(_ticks(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _ticks() -> tuple[int, int]:
    """Idle and all ticks since the machine began; zeros where the system does not tell."""
    try:
        told = [int(field) for field in Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:9]]
    except OSError:
        return 0, 0
    return told[3] + told[4], sum(told)


def _processor() -> str:
    """The processor's name, and the widest vectors it has."""
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*: (.*)$", told, re.MULTILINE)
    vectors = next((word for flag, word in _VECTORS.items() if re.search(rf"\b{flag}\b", told)), "")
    return " ".join(word for word in (name[1] if name else platform.machine(), vectors) if word)


_VECTORS = {"avx512f": "(AVX-512)", "avx2": "(AVX2)"}
