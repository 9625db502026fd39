"""A training step on a GPU by what else there is: transformers' Jamba, and this with mambapy's scan.

6.74M parameters, windows of 128 tokens, bf16 autocast over weights of 32 bits, AdamW. Each contender is a
process of its own on the same GPU; they take turns, and the others wait idly. All start from one set of
weights and must agree in the loss of the first batch. Ours and that with mambapy's scan are a training's
steps, with their batches; transformers' trains on one batch, which is on the GPU already. It uses the
kernels of mamba_ssm and causal_conv1d if they are installed, and torch alone if not.
"""

import math
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.gpu_case import Place, alternately, milliseconds, place
from benchmarks.gpu_peer import SEED, recipe
from benchmarks.harness import Timing, goal, spread
from benchmarks.peers import Peer, PeerError
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import save_model

OURS, MAMBAPY, THEIRS = "nexus-tui", "nexus-tui with mambapy's scan", "transformers' Jamba"
KINDS = {OURS: "nexus-tui", MAMBAPY: "mambapy", THEIRS: "transformers"}
SIZES = ((16, 128), (64, 128))
TINY = ((2, 8),)
AGREED = 0.02
"""How far the losses of the first batch may lie apart, of themselves, in the 8 bits of bf16."""
WANTED = 20.0


def begun(where: Place, weights: Path, batch: int, window: int) -> dict[str, Peer]:
    """A process for every contender, loaded; who cannot be is told of and left out."""
    options = ["--device", str(where.device), "--batch", str(batch), "--window", str(window)]
    started = {
        name: Peer(kind, *options, weights=weights, program="gpu_peer.py") for name, kind in KINDS.items()
    }
    loaded: dict[str, Peer] = {}
    for name, peer in started.items():
        try:
            print(f"- {name}: a loss of {peer.loss:.4f} before the first step", flush=True)
            loaded[name] = peer
        except PeerError as error:
            print(f"- {name} was left out: {error}", flush=True)
    losses = [peer.loss for peer in loaded.values()]
    if not all(math.isclose(loss, losses[0], rel_tol=AGREED) for loss in losses):
        raise SystemExit("They do not compute the same model.")
    return loaded


def rows(where: Place, weights: Path, batch: int, window: int) -> dict[str, Timing]:
    """Time a batch's contenders and print them. Returns their times by name."""
    print(f"{batch} × {window} tokens:\n")
    peers = begun(where, weights, batch, window)
    timings, left_out = alternately(where, peers, seconds=0.5)
    for peer in peers.values():
        peer.end()
    print("\n| | tokens/s | ms (median) | ms (fastest – slowest) | × ours (half of rounds) |")
    print("|---|---:|---:|---:|---:|")
    own = timings.get(OURS)
    for name, timing in timings.items():
        ratio = spread(timing.over(own)) if own else "–"
        print(f"| {name} | {batch * window / timing.median:,.0f} | {milliseconds(timing)} | {ratio} |")
    for name, reason in left_out.items():
        print(f"| {name} | {reason} | | | |")
    print(flush=True)
    return timings


def main() -> None:
    """Print a table for each batch, and the goals."""
    where = place(__doc__, repetitions=3)
    kernels = [name for name in ("mamba_ssm", "causal_conv1d") if find_spec(name)]
    print(f"Installed here of the kernels that transformers would use: {', '.join(kernels) or 'none'}.\n")
    with tempfile.TemporaryDirectory() as folder:
        save_model(HybridLM(recipe(1, 128).model, seed=SEED), Path(folder))
        found = {size: rows(where, Path(folder), *size) for size in (TINY if where.quick else SIZES)}
    for (batch, window), timings in found.items():
        if OURS in timings and THEIRS in timings:
            ratio = statistics.median(timings[THEIRS].over(timings[OURS]))
            of = f"as fast as that of {THEIRS} on the same GPU"
            print(goal(f"a full step of {batch} × {window} tokens is", WANTED, ratio, "×", of, least=True))
    if not all(OURS in timings for timings in found.values()):
        sys.exit("Our step failed.")


if __name__ == "__main__":
    main()
