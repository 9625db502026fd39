"""Work that leaves time to others: after each piece of it, a sleep in proportion."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nexus_tui.lm.drawing import SamplingError

LOOK = 0.05
"""Seconds of sleep between two looks at whether it is still wanted."""


class Pace:
    """Lets work use no more than a share of one core over time, and slow others by no more than that share.

    After each piece of work comes a sleep of its length divided by the share. So even who stands still while
    it works, as a training does whose threads wait for one another, is slowed by the share and no more.
    Time on the clock counts, not processor time: on a busy machine work takes longer, and all the while it
    stands in the way. Nothing is saved up.

    Args:
        share: of one core, above 0; 1 or more never sleeps. As a function it is asked before each sleep.
        awake: called at least every 0.05 s of sleep; may raise to end it.

    Raises SamplingError for a share that is not above 0.
    """

    def __init__(
        self, share: float | Callable[[], float] = 1.0, awake: Callable[[], None] = lambda: None
    ) -> None:
        self._share = share if callable(share) else lambda: share
        self._awake = awake
        self.share  # noqa: B018 - refuse a wrong one now

    @property
    def share(self) -> float:
        """The share that holds now."""
        share = self._share()
        if not share > 0:
            raise SamplingError(f"The share of a core is {share}; it must be above 0, and 1 is a whole core.")
        return share

    @contextmanager
    def work(self, threads: int = 1) -> Iterator[None]:
        """Do a piece of work, then sleep for it.

        `threads` is on how many it runs at most: so many times its time is the most that all of them use.
        """
        started = time.perf_counter()
        yield
        share, ended = self.share, time.perf_counter()
        if share < 1:
            self._sleep_until(ended + (ended - started) * threads / share)

    def _sleep_until(self, end: float) -> None:
        while (left := end - time.perf_counter()) > 0:
            time.sleep(min(left, LOOK))
            if left > LOOK:
                self._awake()


FULL = Pace()
"""No sleep at all."""
