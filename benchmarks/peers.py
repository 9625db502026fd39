"""The same training step by what else there is: transformers' Jamba, and this model with mambapy's scan.

Forward, backward, clip and AdamW of 6.74M parameters, 16 × 128 tokens, all cores. Each contender is a process
of its own, with the allocator that its users have; they take turns, and wait idly while another has its.
"Freed memory kept" is what our trainer asks of the C library's allocator, given to them too. All start from
one set of weights and must agree in their loss. In every round the fast ones run several times.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path

from benchmarks.harness import goal, in_turn, table
from nexus_tui.lm.config import JambaConfig

HERE = Path(__file__).parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | {
    "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
}
"""Without how our program lets idle threads wait: it sets that itself, others do not."""
KEPT = ", freed memory kept"
CONTENDERS: dict[str, list[str]] = {
    "nexus-tui": ["nexus-tui", "--keep-freed"],
    "nexus-tui with mambapy's scan": ["mambapy"],
    f"nexus-tui with mambapy's scan{KEPT}": ["mambapy", "--keep-freed"],
    "transformers' Jamba": ["transformers"],
    f"transformers' Jamba{KEPT}": ["transformers", "--keep-freed"],
}
OFTEN = {"nexus-tui": 8, f"nexus-tui with mambapy's scan{KEPT}": 2}
"""Runs in a round, of which transformers' Jamba takes one and a half minutes."""
GOALS = {
    "nexus-tui with mambapy's scan": ("this with mambapy's scan", 6),
    "transformers' Jamba": ("transformers' Jamba", 100),
}


class PeerError(RuntimeError):
    """A contender's process ended without an answer."""


class Peer:
    """A contender's process, which does a training step, or several, when it is called."""

    def __init__(self, kind: str, *options: str, weights: Path, program: str = "peer.py") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / program), kind, str(weights), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    @cached_property
    def loss(self) -> float:
        """Of the weights, nats per token. To be asked for before the first step. Raises PeerError."""
        return float(self._line())

    def __call__(self, count: int = 1) -> None:
        """So many steps. Raises PeerError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return line

    def _ended(self) -> PeerError:
        return PeerError(f"it ended without an answer, with exit status {self._process.wait()}")

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def write_weights(folder: Path) -> None:
    """One set of weights, for all, as a Hugging Face folder."""
    from nexus_tui.lm.hybrid import HybridLM
    from nexus_tui.lm.pretrained import save_model

    save_model(HybridLM(JambaConfig()), folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    with tempfile.TemporaryDirectory() as folder:
        write_weights(Path(folder))
        peers = {name: Peer(*kind, weights=Path(folder)) for name, kind in CONTENDERS.items()}
        losses = [peer.loss for peer in peers.values()]
        assert all(math.isclose(loss, losses[0], rel_tol=1e-5) for loss in losses), losses
        print(f"Losses before the first step: {', '.join(f'{loss:.6f}' for loss in losses)}.\n", flush=True)
        peers["nexus-tui"]()  # its first step fills caches; a slow one's are lost in it
        timings = in_turn(peers, repetitions, warm_up=0, often=OFTEN)
        for peer in peers.values():
            peer.end()
    print(table(timings, "tokens", 16 * 128), "\n", sep="\n")
    own = timings["nexus-tui"]
    for name, (called, wanted) in GOALS.items():
        ratio = statistics.median(timings[name].over(own))
        print(goal("a training step is", wanted, ratio, "×", f"as fast as that of {called}", least=True))


if __name__ == "__main__":
    main()
