"""Hostile files: every parser fed for a few seconds, guided by coverage; the long run is docs/fuzzing.md."""

import sys

from tools.fuzz.__main__ import feed_all, guided, table
from tools.torture.figures import Figures

SECONDS = 5.0
"""For each parser; two are fed at once."""
SLOW = 1000.0
GROWN = 64.0


def main() -> int:
    """Print what became of the inputs."""
    figures = Figures()
    found = list(feed_all(SECONDS))
    how = "guided by coverage" if guided() else "changed at random, for atheris is not installed"
    print("\n".join(table(found)), end="\n\n")
    defects = [f"{fed.target.name}: {defect}" for fed in found for defect in fed.defects]
    inputs = sum(fed.inputs for fed in found)
    figures.most(
        "inputs that ended in anything but an answer or a documented refusal that names the file", 0,
        len(defects), of=f"of {inputs:,}, {how}",
    )  # fmt: skip
    figures.most("the slowest input", SLOW, max(fed.slowest for fed in found) * 1000, "ms of processor time")
    figures.most("memory that a parser had grown by", GROWN, max(fed.grown for fed in found) / 1e6, "MB")
    for defect in defects:
        print(f"- {defect}")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
