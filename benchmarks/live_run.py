"""Runs for the screen to show: one with a past, which then goes on at a training's pace without training."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.lock import RunLock

TOML = """\
preset = "nexus-byte"
[data]
corpus = "tinyshakespeare"
tokenizer = "byte"
window = 128
[budget]
steps = {steps}
batch = 16
[optimizer]
lr = 3e-4
[schedule]
warmup = 100
shape = "cosine"
[evaluation]
every = {every}
[checkpoint]
every = {every}
"""
SAMPLE = " the world of his sons,\nAnd thou shalt be the way\nOf people and of thee."
PROMPTS = ("To be", "The king", "What light")


class LiveRun:
    """Writes a run as a trainer of the reference model would. Holds its lock until `close`.

    Args:
        folder: a new one.
        total: steps that are planned.
        every: steps from one evaluation to the next.
        seconds: of a step.
        ago: how long ago it began.
    """

    def __init__(
        self,
        folder: Path,
        total: int = 2000,
        every: int = 200,
        seconds: float = 1.055,
        ago: timedelta = timedelta(0),
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "run.toml").write_text(TOML.format(steps=total, every=every), "utf-8")
        self.folder, self.total, self.every, self.seconds = folder, total, every, seconds
        self.step = 0
        self._past: datetime | None = datetime.now(UTC) - ago
        self._random = np.random.default_rng(0)
        self._lock = RunLock(folder)
        self._journal = j.Journal(folder / "journal.jsonl")
        self.append(j.DeviceEvent(time=self._now(), pid=1, host="here", device="cpu", threads=2))
        self.append(j.StartedEvent(time=self._now(), parameters=6_739_088))

    def append(self, event: j.Event) -> None:
        """Write an event."""
        self._journal.append(event)

    def close(self) -> None:
        """Nobody trains it any more."""
        self._journal.close()
        self._lock.release()

    def train(self, steps: int) -> "LiveRun":
        """So many steps of the past, with evaluations and samples."""
        for _ in range(steps):
            for event in self.next():
                self.append(event)
        return self

    def live(self) -> None:
        """What is written from here on happens now."""
        self._past = None

    def _now(self, seconds: float = 0.0) -> datetime:
        if self._past is None:
            return j.now()
        self._past += timedelta(seconds=seconds)
        return self._past

    def loss(self, step: int) -> float:
        """Where the training loss is without noise, nats per token."""
        return 1.22 + 4.3 * math.exp(-step / 90) + 0.55 * math.exp(-step / 700)

    def next(self) -> Iterator[j.Event]:
        """The events of the next step."""
        self.step += 1
        step, noise = self.step, float(self._random.normal(0, 0.045))
        yield j.StepEvent(
            time=self._now(self.seconds),
            step=step,
            loss=self.loss(step) + noise,
            lr=3e-4 * step / 100 if step < 100 else 1.5e-4 * (1 + math.cos(math.pi * step / self.total)),
            grad_norm=0.4 + 2 * math.exp(-step / 60) + abs(noise),
            tokens=step * 2048,
            seconds=self.seconds * (1 + 0.1 * noise),
        )
        if step % self.every:
            return
        name, loss = f"step_{step}", self.loss(step) + 0.13 + 1e-4 * step**0.9
        yield j.ActivityEvent(time=self._now(), step=step, activity="saving")
        yield j.SavedEvent(time=self._now(), step=step, checkpoint=name, bytes=80_869_056)
        yield j.ActivityEvent(time=self._now(), step=step, activity="evaluating")
        yield j.EvaluatedEvent(
            time=self._now(6.0), step=step, checkpoint=name, loss=loss, stderr=0.01,
            bits_per_byte=loss / math.log(2), windows=871, protocol="p", seconds=6.0,
        )  # fmt: skip
        yield j.ActivityEvent(time=self._now(), step=step, activity="sampling")
        for prompt in PROMPTS:
            yield j.SampledEvent(time=self._now(0.3), step=step, prompt=prompt, text=SAMPLE, seed=1)
