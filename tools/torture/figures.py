"""What a section of `make torture` found, each figure with its bound, and whether all were kept."""

from benchmarks.harness import goal


class Figures:
    """Prints figures as they come."""

    def __init__(self) -> None:
        self.missed = 0

    @property
    def status(self) -> int:
        """The exit status: 0 if every bound was kept."""
        return 1 if self.missed else 0

    def most(self, what: str, bound: float, measured: float, unit: str = "", of: str = "") -> None:
        """`what` is at most so much: "- Goal: what ≤ bound unit of. …"."""
        self._say(goal(what, bound, measured, unit, of))

    def least(self, what: str, bound: float, measured: float, unit: str = "", of: str = "") -> None:
        """`what` is at least so much."""
        self._say(goal(what, bound, measured, unit, of, least=True))

    def holds(self, what: str, fine: bool, found: str = "") -> None:
        """`what` is so; `found` says what was seen, shortly: the program's own words, say."""
        told = found or ("it is so" if fine else "it is not so")
        self._say(f"- Goal: {what}. Measured: {told}, **{'met' if fine else 'not met'}**.")

    def _say(self, line: str) -> None:
        self.missed += "**met**" not in line
        print(line, flush=True)
