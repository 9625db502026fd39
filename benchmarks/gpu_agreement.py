"""One training on a GPU and on this machine's processor: how far apart their losses are, step by step.

The reference byte model from the same weights over the same batches, without dropout; 4 × 128 tokens a
step. The processor's kernels compute in 32 bits; the GPU's in 32 bits and in bf16, whose numbers have 8
bits of fraction. What differs is rounding, and what training makes of it.
"""

import time

from benchmarks.gpu_case import TINY, Place, Stepping, configuration, corpus_of, place
from benchmarks.harness import goal

STEPS, BATCH, WARMUP = 100, 4, 20
AT = (1, 2, 5, 10, 20, 50, 100)
WANTED = 1e-3


def losses(where: Place, precision: str, *, processor: bool = False) -> list[float]:
    """The loss of each step, nats per token."""
    steps = count(where)
    said: dict[str, object] = {"budget.batch": BATCH, "budget.steps": 10 * steps + WARMUP}
    said |= {"schedule.warmup": WARMUP, "regularization.dropout": 0.0, "budget.precision": precision}
    config = configuration("nexus-byte", said | (TINY if where.quick else {}))
    return Stepping(where, config, corpus_of(config), processor=processor)(steps)


def count(where: Place) -> int:
    """How many steps are compared."""
    return 6 if where.quick else STEPS


def main() -> None:
    """Print how far apart they are, and the goal."""
    where, began = place(__doc__, repetitions=1), time.perf_counter()
    steps, exact = count(where), losses(where, "fp32", processor=True)
    print(f"{steps} steps on the processor took {time.perf_counter() - began:.1f} s.\n", flush=True)
    apart: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16"):
        found = losses(where, precision)
        apart[precision] = [loss - other for loss, other in zip(found, exact, strict=True)]
        where.free()
    print("| step | nats per token, processor | GPU in 32 bits − that | GPU in bf16 − that |")
    print("|---:|---:|---:|---:|")
    for step in (step for step in AT if step <= steps):
        cells = " | ".join(f"{differences[step - 1]:+.2e}" for differences in apart.values())
        print(f"| {step} | {exact[step - 1]:.5f} | {cells} |")
    most = {precision: max(map(abs, differences)) for precision, differences in apart.items()}
    mean = sum(apart["bf16"]) / steps
    print(f"\nIn bf16 the losses differ by at most {most['bf16']:.2g} nats, by {mean:+.1g} in the mean.\n")
    what = f"over {steps} steps in 32 bits the losses differ by"
    print(goal(what, WANTED, most["fp32"], "nats"))


if __name__ == "__main__":
    main()
