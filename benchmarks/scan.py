"""One layer's selective scan and causal convolution: 16 × 128 tokens, 512 channels, 32 states.

Forward alone, forward and backward, on one thread and on all; the definition in torch beside them.
Milliseconds of wall clock and, for what runs on one thread, of that thread's processor time, which a busy
neighbour disturbs less.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.harness import in_turn
from nexus_tui.lm.causal_conv import causal_conv_silu
from nexus_tui.lm.selective_scan import reference, selective_scan, warm_up

BATCH, LENGTH, CHANNEL, STATE, KERNEL = 16, 128, 512, 32, 4


def scan_operands() -> list[Tensor]:
    """Inputs of the sizes that a new model has; z is half of a wider tensor."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    u, delta, z = (normal(BATCH, LENGTH, 2 * CHANNEL)[..., CHANNEL:] for _ in range(3))
    A = -torch.arange(1.0, STATE + 1).repeat(CHANNEL, 1)
    B, C = normal(BATCH, LENGTH, STATE), normal(BATCH, LENGTH, STATE)
    D, bias = torch.ones(CHANNEL), torch.full((CHANNEL,), -4.0)
    operands = (u.contiguous(), delta.contiguous(), A, B, C, D, z, bias)
    return [x.detach().requires_grad_() for x in operands]


def on(threads: int, work: Callable[[], object]) -> Callable[[], None]:
    """The work on so many threads."""

    def run() -> None:
        torch.set_num_threads(threads)
        work()

    return run


def main() -> None:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=15)
    repetitions = parser.parse_args().repetitions
    warm_up()
    operands = scan_operands()
    x = torch.randn(BATCH, LENGTH, 2 * CHANNEL, requires_grad=True)
    filters, bias = (torch.randn(*shape, requires_grad=True) for shape in ((CHANNEL, KERNEL), (CHANNEL,)))
    slope = torch.randn(BATCH, LENGTH, CHANNEL)

    def both(forward: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(forward(), leaves, slope)

    def convolution() -> Tensor:
        return causal_conv_silu(x[..., :CHANNEL], filters, bias)

    work: dict[str, Callable[[], object]] = {
        "scan, forward": lambda: selective_scan(*operands),
        "scan, forward and backward": both(lambda: selective_scan(*operands)[0], operands),
        "convolution, forward": convolution,
        "convolution, forward and backward": both(convolution, [x, filters, bias]),
    }
    processor: dict[str, list[float]] = {}

    def timed(name: str) -> Callable[[], None]:
        def run() -> None:
            started = time.thread_time()
            work[name]()
            processor.setdefault(name, []).append(time.thread_time() - started)

        return on(1, run)

    many = torch.get_num_threads()
    contenders: dict[str, Callable[[], object]] = {f"{name}, 1 thread": timed(name) for name in work}
    contenders |= {f"{name}, {many} threads": on(many, work[name]) for name in work}
    timings = in_turn(contenders, repetitions)
    definition = both(lambda: reference.selective_scan(*operands)[0], operands)
    timings |= in_turn({f"the definition, forward and backward, {many} threads": on(many, definition)}, 1)
    print("| ms | median | fastest | processor time, fastest |\n|---|---:|---:|---:|")
    for name, timing in timings.items():
        own = processor.get(name.removesuffix(", 1 thread"))
        cell = f"{min(own) * 1e3:.2f}" if own else ""
        print(f"| {name} | {timing.median * 1e3:.2f} | {min(timing.seconds) * 1e3:.2f} | {cell} |")


if __name__ == "__main__":
    main()
