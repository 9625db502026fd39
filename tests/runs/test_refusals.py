"""What a disk refuses is said with what to do about it."""

import errno
from pathlib import Path

import pytest

from nexus_tui.runs.refusals import is_refusal, refusal

FOLDER = Path("runs/first")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "full", "x"),
            "No space left on device; make room on the disk of runs/first",
        ),
        (PermissionError(errno.EACCES, "no", "x"), "Permission denied; make runs/first writable"),
        (OSError(errno.EIO, "bad", "x"), "Input/output error; see to the disk of runs/first"),
        (
            Exception("I/O error: No space left on device (os error 28)"),
            "No space left on device; make room on the disk of runs/first",
        ),
        (OSError("strange"), "strange"),
    ],
)
def test_a_refusal_says_what_to_do(error: Exception, told: str) -> None:
    assert is_refusal(error)
    assert refusal(error, FOLDER) == told


def test_what_is_no_refusal_of_the_disk_is_none() -> None:
    assert not is_refusal(ValueError("a shape"))
