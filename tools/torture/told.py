"""What happened while a monkey was at the program, and the figures of it."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tools.torture.figures import Figures
from tools.torture.room import Room

STUCK = 60.0
"""Seconds after which a program that does not answer is stuck."""


@dataclass
class Told:
    """What happened."""

    presses: int = 0
    resizes: int = 0
    pasted: int = 0
    answers: list[float] = field(default_factory=list)
    """Seconds from the key for help to the help, the program at rest."""
    rest: list[float] = field(default_factory=list)
    """Seconds until it was at rest after a round."""
    memory: list[float] = field(default_factory=list)
    """MB at each question of the hour, since it was last begun in that hour."""
    lives: int = 1
    failures: list[str] = field(default_factory=list)


def report(told: Told, room: Room) -> int:
    """Print the figures. Returns the exit status."""
    figures, repeated = Figures(), room.repeat()
    typing = f"{told.presses:,} presses ({told.presses / 300:.0f} minutes of typing)"
    done = f"in {typing}, {told.resizes:,} resizes and {told.pasted / 1e6:.1f} MB pasted"
    failed = ", ".join(f"{times} × {why}" for why, times in Counter(told.failures).items())
    figures.most(
        "times that it ends by itself, shows a traceback, does not answer or does not train",
        0, len(told.failures), "", f"{done} {failed}".strip(),
    )  # fmt: skip
    late = float(np.quantile(told.answers, 0.95))
    figures.most("from a key to the help, 95 % of the times,", 0.5, late, "s", f"of {len(told.answers)}")
    figures.most("until it answers after a round of keys", STUCK, max(told.rest), "s", f"of {len(told.rest)}")
    # Models that are looked at are kept for a while, lines until their widget goes: the least is compared.
    quarter = len(told.memory) // 4
    before, after = min(told.memory[-2 * quarter : -quarter]), min(told.memory[-quarter:])
    figures.most(
        "the least memory in the last quarter of it, against that before,", 10, 100 * (after / before - 1),
        "% more", f"({before:.0f} MB, then {after:.0f}; {told.memory[0]:.0f} at the first)",
    )  # fmt: skip
    figures.least("runs that were trained meanwhile, or begun to be", 1, repeated.runs, "runs")
    figures.most(
        "of them with other losses than undisturbed, bit for bit,", 0, len(repeated.different), "runs",
        f"over {repeated.steps:,} steps; {repeated.wished} had wishes, which were repeated",
    )  # fmt: skip
    strays = room.strays()
    figures.most("files outside the runs folder and XDG's", 0, len(strays), "files", ", ".join(strays[:5]))
    print(f"\nThe program was begun {told.lives} times.")
    return figures.status
