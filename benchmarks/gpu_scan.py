"""One layer's selective scan on a GPU, forward and backward, against Mamba's own kernel and others.

Each contender is captured as a CUDA graph over as many sets of operands as do not fit the GPU's cache, so
that neither Python's time nor the cache's is measured. Mamba's own kernel (mamba_ssm) is given its own
layout, [batch, channel, length]. The bound is a copy that moves as many bytes as reading every operand once
and writing every result once takes, in both directions; `mambapy` is its parallel scan in torch. First all
of them are compared with the definition in 32 bits, by the norm of the difference over that of the
definition's result.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.gpu_case import Place, Work, alternately, captured, divided, milliseconds, place
from benchmarks.harness import Timing, goal, spread
from benchmarks.peer import mambapy_scan
from nexus_tui.lm.selective_scan import reference, selective_scan

CACHE = 256e6
"""Bytes that no GPU's cache holds."""
MOST_SETS = 8
OURS, OFFICIAL, MAMBAPY, BOUND = "nexus-tui", "mamba_ssm's kernel", "mambapy's scan", "the bound"
Scan = Callable[..., Tensor]
Operands = list[Tensor]


@dataclass(frozen=True)
class Shape:
    """A scan's sizes."""

    batch: int
    length: int
    channels: int
    states: int
    dtype: torch.dtype

    def __str__(self) -> str:
        name = {torch.float32: "fp32", torch.bfloat16: "bf16"}[self.dtype]
        return f"{self.batch:,} × {self.length:,}, {self.channels:,} channels, {self.states} states, {name}"

    @property
    def bytes(self) -> int:
        """What forward and backward read and write, each number once in each of the two."""
        wide, narrow = (self.batch * self.length * n for n in (self.channels, self.states))
        forward = 4 * wide + 2 * narrow  # u, delta, z, B, C; y
        backward = 7 * wide + 4 * narrow  # the same without y, and its gradient; those of u, delta, z, B, C
        return (forward + backward) * self.dtype.itemsize


SHAPES = (
    Shape(16, 128, 512, 32, torch.bfloat16),
    Shape(16, 128, 512, 32, torch.float32),
    Shape(4096, 128, 512, 32, torch.bfloat16),
    Shape(16, 2048, 1536, 16, torch.bfloat16),
    Shape(16, 2048, 1536, 16, torch.float32),
)
"""A layer of the 6.74M-parameter model at two batches, and one of a 130M-parameter model."""
TINY = (Shape(2, 16, 8, 4, torch.float32),)
LONG = SHAPES[3]


def operands(shape: Shape, device: torch.device, seed: int) -> tuple[Operands, Tensor]:
    """u, delta, A, B, C, D, z and delta's bias as a new model has them, and a gradient of y."""
    generator = torch.Generator(device).manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=device).to(shape.dtype)

    u, delta, z, slope = (normal(shape.batch, shape.length, shape.channels) for _ in range(4))
    B, C = (normal(shape.batch, shape.length, shape.states) for _ in range(2))
    A = -torch.arange(1.0, shape.states + 1, device=device).repeat(shape.channels, 1)
    D, bias = (torch.full((shape.channels,), value, device=device) for value in (1.0, -4.0))
    return [x.requires_grad_() for x in (u, delta, A, B, C, D, z, bias)], slope


def ours(*given: Tensor) -> Tensor:
    """Our scan."""
    return selective_scan(*given)[0]


def mambapy(*given: Tensor) -> Tensor:
    """mambapy's parallel scan."""
    return mambapy_scan(*given)[0]


def official(*given: Tensor) -> Tensor:
    """Mamba's own kernel. All that is [batch, length, …] elsewhere is here [batch, …, length]."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    y: Tensor = selective_scan_fn(*given, delta_softplus=True)
    return y


def turned(given: Operands, slope: Tensor) -> tuple[Operands, Tensor]:
    """The same operands with their length last, as Mamba's own kernel has them."""
    last = [x.detach().transpose(1, 2).contiguous() if x.ndim == 3 else x.detach() for x in given]
    return [x.requires_grad_() for x in last], slope.transpose(1, 2).contiguous()


def results(scan: Scan, given: Operands, slope: Tensor) -> list[Tensor]:
    """The outputs, and the gradients of all operands."""
    y = scan(*given)
    return [y.detach(), *torch.autograd.grad(y, given, slope)]


def contenders(where: Place, shape: Shape, count: int) -> dict[str, Work]:
    """Who is timed, each over so many sets of operands."""
    sets = [operands(shape, where.device, seed) for seed in range(count)]
    sides = [torch.ones(2, shape.bytes // 2, dtype=torch.uint8, device=where.device) for _ in range(count)]

    def copy() -> None:
        for side in sides:
            side[0].copy_(side[1])

    found = {OURS: partial(_all, ours, sets)}
    if find_spec("mamba_ssm"):
        found[OFFICIAL] = partial(_all, official, [turned(*each) for each in sets])
    found |= {MAMBAPY: partial(_all, mambapy, sets), BOUND: copy}
    return {name: _graph(where, work) for name, work in found.items()}


def _all(scan: Scan, sets: list[tuple[Operands, Tensor]]) -> None:
    for given, slope in sets:
        results(scan, given, slope)


def _graph(where: Place, work: Callable[[], object]) -> Work:
    """Replays of the work; it is captured at the first one, so that failing to is this contender's."""
    replay: list[Callable[[], object]] = []

    def run(times: int) -> None:
        if not replay:
            replay.append(captured(where, work))
        for _ in range(times):
            replay[0]()

    return run


def differences(where: Place, shape: Shape) -> None:
    """Print how far each contender's numbers are from the definition's."""
    given, slope = operands(shape, where.device, 7)
    exact = results(
        lambda *x: reference.selective_scan(*x)[0],
        [x.detach().float().requires_grad_() for x in given],
        slope.float(),
    )
    kinds: dict[str, Scan] = {OURS: ours, MAMBAPY: mambapy}
    if find_spec("mamba_ssm"):
        kinds[OFFICIAL] = official
    for name, kind in kinds.items():
        own = turned(given, slope) if name == OFFICIAL else (given, slope)
        try:
            found = results(kind, *own)
        except Exception as error:  # one that cannot be run is told of when it is timed
            print(f"- {name}: {type(error).__name__}", flush=True)
            continue
        if name == OFFICIAL:
            found = [x.transpose(1, 2) if x.ndim == 3 else x for x in found]
        far = [float((x.float() - y).norm() / y.norm()) for x, y in zip(found, exact, strict=True)]
        print(f"- {name}: {far[0]:.1e} in y, at most {max(far[1:]):.1e} in a gradient", flush=True)


def rows(where: Place, shape: Shape) -> dict[str, Timing]:
    """Time a shape's contenders and print them. Returns their times by name."""
    count = 1 if where.quick else max(1, min(MOST_SETS, round(CACHE / shape.bytes)))
    of_all, left_out = alternately(where, contenders(where, shape, count))
    timings = {name: divided(timing, count) for name, timing in of_all.items()}
    own = timings.get(OURS)
    for name, timing in timings.items():
        ratio = spread(timing.over(own)) if own else "–"
        speed = shape.bytes / timing.median / 1e9
        print(f"| {shape} | {name} | {milliseconds(timing)} | {speed:,.0f} | {ratio} |", flush=True)
    for name, reason in left_out.items():
        print(f"| {shape} | {name} | {reason} | | | |", flush=True)
    return timings


def main() -> None:
    """Print differences, the table and the goals."""
    where = place(__doc__)
    shapes = TINY if where.quick else SHAPES
    for small in dict.fromkeys(replace(shape, batch=2) for shape in shapes):
        print(f"From the definition, {small}:\n")
        differences(where, small)
        print()
    print("| | | ms (median) | ms (fastest – slowest) | GB/s of operands | × ours (half of rounds) |")
    print("|---|---|---:|---:|---:|---:|")
    found: dict[Shape, dict[str, Timing]] = {}
    for shape in shapes:
        found[shape] = rows(where, shape)
        where.free()
    print()
    for shape, timings in found.items():
        if OURS in timings and OFFICIAL in timings:
            ratio = statistics.median(timings[OFFICIAL].over(timings[OURS]))
            print(goal(f"the scan, {shape}, is", 1, ratio, "×", "as fast as mamba_ssm's kernel", least=True))
    published(found)
    if not all(OURS in timings for timings in found.values()):
        raise SystemExit("Our scan failed at a shape.")


def published(found: dict[Shape, dict[str, Timing]]) -> None:
    """What stands for Mamba's own kernel where that is not installed: what its authors measured of it."""
    timings = found.get(LONG, {})
    if any(OFFICIAL in each for each in found.values()):
        return
    print("mamba_ssm, which has Mamba's own kernel, is not installed here.", end=" ")
    print("Its authors say that it is up to 20 to 40 × as fast as a standard scan in PyTorch", end=" ")
    print("(16 states; arXiv 2312.00752, section 4.5), on a GPU of theirs.", end=" ")
    if OURS in timings and MAMBAPY in timings:
        ratio = statistics.median(timings[MAMBAPY].over(timings[OURS]))
        print(f"Ours is here {ratio:.1f} × as fast as mambapy's, which is such a scan ({LONG}).", end="")
    print()


if __name__ == "__main__":
    main()
