"""docs/reliability.md: its sections, in their order, and how many seconds each may take."""

from benchmarks.document import Document
from benchmarks.sections import ROOT, Section

PACKAGE = "tools.torture"
LIMIT = 900.0
"""Seconds for all of it."""


def _section(name: str, title: str, limit: float, *arguments: str, alone: bool = False) -> Section:
    return Section(name, title, arguments, package=PACKAGE, limit=limit, alone=alone)


RELIABILITY = Document(
    ROOT / "docs" / "reliability.md",
    """# Reliability

Written by `make torture`, which does all of this to the program, for real, within 15 minutes, and fails if
one figure misses its bound; `make torture ARGS="kills locks"` does some of it and replaces those sections
alone, and `ARGS=hour` is a whole hour of keys. Each section says when it was run, on what, how busy the
machine was with other things before, and how long it took.
""",
    (
        _section("kills", "Killed at any moment", 330),
        _section("disk", "Failing disks and clocks", 90),
        _section("locks", "Two trainers and one run", 120),
        _section("hangup", "The terminal goes away", 180),
        _section("strangers", "Strangers at the socket", 90),
        _section("faults", "Numbers that are not finite, and memory that runs out", 180),
        _section("ranks", "Several processes, and one of them killed", 180),
        _section("fuzz", "Hostile files", 180),
        _section("monkey", "A monkey at the keys", 300, "--presses", "6000"),
        _section("link", "A slow link", 330),
        _section("hour", "An hour at the keys", 890, alone=True),
    ),
    LIMIT,
)
