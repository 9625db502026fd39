"""Why a disk refused, and what to do about it, in the words of a sentence."""

import errno
import os
import re
from pathlib import Path

_TO_DO = {
    errno.ENOSPC: "make room on the disk of {folder}",
    errno.EDQUOT: "make room within your quota, on the disk of {folder}",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EACCES: "make {folder} writable",
    errno.EPERM: "make {folder} writable",
    errno.EROFS: "make the file system of {folder} writable",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}
_WRAPPED = re.compile(r"\(os error (\d+)\)")
"""How safetensors, which is written in Rust, tells the system's error."""


def is_refusal(error: Exception) -> bool:
    """Whether it was the disk that failed, rather than whoever wrote."""
    return isinstance(error, OSError) or bool(_WRAPPED.search(str(error)))


def refusal(error: Exception, folder: Path) -> str:
    """Such as `No space left on device; make room on the disk of runs/first`."""
    wrapped = _WRAPPED.search(str(error))
    number = error.errno if isinstance(error, OSError) else int(wrapped[1]) if wrapped else None
    if number is None:
        return str(error)
    to_do = _TO_DO.get(number, "see to the disk of {folder}")
    return f"{os.strerror(number)}; {to_do.format(folder=folder)}"
