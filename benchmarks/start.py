"""From the start of the process to the first screen, through a real pseudo-terminal."""

import statistics
import sys
import tempfile
import time

import pexpect

REPETITIONS = 7
LISTED = b"shakespeare-byte"  # a run that is always listed: with it on the screen, the runs are there


def first_screen(folder: str) -> float:
    """Seconds until the list of runs has been sent to the terminal."""
    started = time.perf_counter()
    app = pexpect.spawn(sys.executable, ["-m", "nexus_tui", folder], dimensions=(24, 80), timeout=30)
    app.expect(LISTED)
    seconds = time.perf_counter() - started
    app.close(force=True)
    return seconds


def main() -> None:
    """Print the median and the spread."""
    with tempfile.TemporaryDirectory() as folder:
        first_screen(folder)  # the files of the interpreter and the packages come from the disk once
        runs = sorted(first_screen(folder) for _ in range(REPETITIONS))
    print(f"first screen with the runs on it: {statistics.median(runs):.3f} s median of {len(runs)}")
    print(f"fastest {runs[0]:.3f} s, slowest {runs[-1]:.3f} s")


if __name__ == "__main__":
    main()
