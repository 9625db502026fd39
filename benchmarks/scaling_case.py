"""One training step, forward and backward, of one size: how fast it is and how much memory it takes."""

import ctypes
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.training.memory import keep_freed_memory

MEASURED = 1.0
"""Seconds that steps are repeated for."""


@dataclass(frozen=True)
class Case:
    """The reference model at another width, or one of its Mamba layers `alone`, on so many tokens."""

    batch: int
    length: int
    hidden: int = 256
    threads: int = 1
    alone: bool = False

    @property
    def config(self) -> JambaConfig:
        """As the reference model: what has a width grows with it, heads keep theirs."""
        heads = max(1, self.hidden // 32)
        return JambaConfig(
            hidden_size=self.hidden,
            intermediate_size=self.hidden * 7 // 2,
            num_attention_heads=heads,
            num_key_value_heads=max(1, heads // 4),
            mamba_dt_rank=max(1, self.hidden // 16),
        )

    @property
    def states_bytes(self) -> int:
        """What one tensor [batch, length, channel, state] would take."""
        return 4 * self.batch * self.length * self.config.mamba_channels * self.config.mamba_d_state


@dataclass(frozen=True)
class Result:
    """Seconds of every step, and the bytes that the first took beyond what was there.

    The first, which also fills caches, is among the seconds only where steps are long.
    """

    seconds: list[float]
    peak: int


def measure(case: Case) -> Result:
    """Measure a case; the figure of memory is right only in a process that has done nothing else."""
    torch.set_num_threads(case.threads)
    keep_freed_memory()  # as a training does
    model = HybridLM(case.config, seed=1)
    _step(model, replace(case, batch=1, length=8))()  # kernels, threads and the libraries' own memory
    run = _step(model, case)
    ctypes.CDLL(None).malloc_trim(0)
    before = _memory("VmRSS")
    _forget_peak()
    first = _timed(run)
    peak = _memory("VmHWM") - before
    seconds = [first] if first > MEASURED else []
    while sum(seconds) < MEASURED or len(seconds) < 2:
        seconds.append(_timed(run))
    return Result(seconds, peak)


def _step(model: HybridLM, case: Case) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    if case.alone:
        layer = model.model.layers[0].mamba
        x = torch.randn(case.batch, case.length, case.hidden, generator=generator, requires_grad=True)
        slope = torch.randn(x.shape, generator=generator)

        def layer_step() -> None:
            torch.autograd.grad(layer(x), [x, *layer.parameters()], slope)

        return layer_step
    ids = torch.randint(256, (case.batch, case.length + 1), generator=generator)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()

    def step() -> None:
        model.loss(inputs, targets).backward()
        model.zero_grad(set_to_none=True)

    return step


def _timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _memory(field: str) -> int:
    """Bytes that this process has in memory (`VmRSS`), or has had at most (`VmHWM`)."""
    found = re.search(rf"^{field}:\s*(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
