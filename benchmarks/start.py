"""From the start of the process to the first screen, through a real pseudo-terminal of 24 × 80.

The runs folder is empty; the recorded runs that are always listed are what is waited for.
"""

import statistics
import sys
import tempfile
import time

import pexpect

REPETITIONS = 7
TITLE = b"nexus-tui"
LISTED = b"shakespeare-byte"  # a run that is always listed: with it on the screen, the runs are there


def first_screen(folder: str) -> tuple[float, float]:
    """Seconds until the first paint, and until the list of runs, have been sent to the terminal."""
    started = time.perf_counter()
    app = pexpect.spawn(sys.executable, ["-m", "nexus_tui", folder], dimensions=(24, 80), timeout=30)
    app.expect(TITLE)
    painted = time.perf_counter() - started
    app.expect(LISTED)
    listed = time.perf_counter() - started
    app.close(force=True)
    return painted, listed


def main() -> None:
    """Print medians and spreads."""
    with tempfile.TemporaryDirectory() as folder:
        first_screen(folder)  # the files of the interpreter and the packages come from the disk once
        painted, listed = zip(*(first_screen(folder) for _ in range(REPETITIONS)), strict=True)
    print("| seconds until | median | fastest – slowest | starts |\n|---|---:|---:|---:|")
    for name, seconds in (("the first paint", painted), ("the runs are on it", listed)):
        spread = f"{min(seconds):.3f} – {max(seconds):.3f}"
        print(f"| {name} | {statistics.median(seconds):.3f} | {spread} | {len(seconds)} |")


if __name__ == "__main__":
    main()
