"""Runs on disk as a trainer leaves them, with a realistic curve, in milliseconds and without torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import link_best, save_checkpoint
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run

START = datetime(2026, 1, 12, 20, 0, tzinfo=UTC)
WINDOWS = 48

TOML = """\
preset = "{preset}"
[data]
corpus = "tinyshakespeare"
tokenizer = "byte"
window = 128
[budget]
steps = {total}
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

SAMPLES = {
    "To be": " the world of his sons,\nAnd thou shalt be the way\nOf people and of thee.",
    "The king": " is come to say the\nway of the people of the world.",
    "What light": " is the fair of the\nsun to the hand?",
}


@dataclass
class FakeRun:
    """Writes a run event by event. A step takes `seconds` of the run's own time."""

    folder: Path
    total: int = 2000
    every: int = 200
    seconds: float = 1.055
    preset: str = "nexus-byte"
    seed: int = 1
    now: datetime = START
    step: int = 0
    lock: RunLock | None = None
    branch: int = 0
    _lift: float = 0.0
    _scale: float = 1.0
    _names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "evaluations").mkdir()
        self._random = np.random.default_rng(self.seed)
        text = TOML.format(preset=self.preset, total=self.total, every=self.every)
        (self.folder / "run.toml").write_text(text)
        self.journal = j.Journal(self.folder / "journal.jsonl")
        self.device()
        self.append(
            lambda t: j.StartedEvent(time=t, version="0.1.0", parameters=6_739_088, corpus_sha256="86c4")
        )

    def append(self, make: Callable[[datetime], j.Event]) -> None:
        """Write an event at the run's present time."""
        self.journal.append(make(self.now))

    def device(self) -> None:
        """A process begins to train."""
        self.append(lambda t: j.DeviceEvent(time=t, pid=4242, host="here", device="cpu", threads=2))

    def hold(self) -> None:
        """Be the process that trains it."""
        self.lock = RunLock(self.folder)

    def release(self) -> None:
        """Train it no longer."""
        if self.lock:
            self.lock.release()
            self.lock = None

    def loss(self, step: int) -> float:
        """Where the training loss is without noise."""
        return 1.22 + 4.3 * math.exp(-step / 90) + 0.55 * math.exp(-step / 700) + self._lift

    def rate(self, step: int) -> float:
        """Warm-up over 100 steps, then cosine to 0."""
        if step < 100:
            return self._scale * 3e-4 * step / 100
        return self._scale * 1.5e-4 * (1 + math.cos(math.pi * (step - 100) / max(1, self.total - 100)))

    def train(self, until: int, checkpoints: bool = True) -> "FakeRun":
        """Steps, and at every so many a checkpoint, an evaluation and samples."""
        while self.step < until:
            self.step += 1
            step = self.step
            self.now += timedelta(seconds=self.seconds)
            noise = float(self._random.normal(0, 0.045))
            self.append(
                lambda t, step=step, noise=noise: j.StepEvent(
                    time=t, step=step, loss=self.loss(step) + noise, lr=self.rate(step),
                    grad_norm=0.4 + 2 * math.exp(-step / 60) + abs(noise),
                    tokens=step * 2048, seconds=self.seconds,
                )
            )  # fmt: skip
            if checkpoints and step % self.every == 0:
                self.checkpoint()
        return self

    def checkpoint(self, loss: float | None = None) -> None:
        """Save, evaluate and sample the present step."""
        name = f"step_{self.step}"
        if name in self._names:
            name = f"{name}.{self.branch}"
        self._names.add(name)

        def write(folder: Path) -> None:
            (folder / "model.safetensors").write_bytes(f"weights {name}".encode())
            (folder / "optimizer.safetensors").write_bytes(b"moments")

        saved = save_checkpoint(self.folder / "checkpoints" / name, self.step, write)
        size = 26_956_352 * 3
        step, digest = self.step, saved.sha256
        self.append(lambda t: j.SavedEvent(time=t, step=step, checkpoint=name, sha256=digest, bytes=size))
        self.evaluate(name, self.loss(self.step) + 0.13 + 1e-4 * self.step**0.9 if loss is None else loss)
        for prompt, text in SAMPLES.items():
            self.sample(prompt, text)

    def evaluate(self, name: str, loss: float) -> None:
        """An evaluation with the loss of every window on disk; it takes six seconds."""
        losses = np.random.default_rng(0).normal(0, 0.3, WINDOWS) + self._random.normal(0, 0.02, WINDOWS)
        losses = (losses - losses.mean() + loss).astype(np.float32)
        np.save(self.folder / "evaluations" / f"{name}.npy", losses)
        self.now += timedelta(seconds=6)
        self.append(
            lambda t: j.EvaluatedEvent(
                time=t, step=self.step, checkpoint=name, loss=loss, stderr=0.01,
                bits_per_byte=loss / math.log(2), windows=WINDOWS, protocol="p", seconds=6.0,
            )
        )  # fmt: skip
        run = Run(self.folder)
        best = min((e for e in run.evaluations), key=lambda e: e.loss)
        link_best(self.folder, run.checkpoints.get(best.name))

    def sample(self, prompt: str, text: str) -> None:
        """A sample of the present step."""
        self.append(lambda t: j.SampledEvent(time=t, step=self.step, prompt=prompt, text=text, seed=1))

    def resume(self, step: int, lift: float = 0.0) -> None:
        """Go on from an earlier checkpoint: what came after it is abandoned."""
        self.now += timedelta(minutes=3)
        self.device()
        self.branch += 1
        self.step, self._lift = step, lift
        self.append(lambda t: j.ResumedEvent(time=t, step=step, checkpoint=f"step_{step}"))

    def scale_rate(self, scale: float) -> None:
        """Somebody scaled the learning rate."""
        self._scale = scale
        self.append(lambda t: j.ControlledEvent(time=t, step=self.step, act="rate_scale", value=scale))

    def act(self, act: str) -> None:
        """Somebody's wish was carried out."""
        self.append(lambda t: j.ControlledEvent(time=t, step=self.step, act=act))

    def note(self, text: str) -> None:
        """A note."""
        self.append(lambda t: j.NotedEvent(time=t, step=self.step, text=text))

    def predict(self, target: int, value: float, half: float) -> None:
        """A forecast of the validation loss at a later step."""
        self.append(
            lambda t: j.PredictedEvent(
                time=t, step=self.step, target=target, value=value, low=value - half, high=value + half
            )
        )

    def doing(self, activity: str) -> None:
        """Besides steps."""
        self.append(lambda t: j.ActivityEvent(time=t, step=self.step, activity=activity))

    def spike(self, loss: float, median: float) -> None:
        """The loss of the present step is a spike."""
        self.append(
            lambda t: j.SpikedEvent(time=t, step=self.step, loss=loss, median=median, limit=median + 0.5)
        )

    def diverge(self, checkpoint: str, cause: str = "the loss of step {step:,} is nan") -> None:
        """Training stops before the next update."""
        step = self.step + 1
        told = cause.format(step=step)
        self.append(
            lambda t: j.DivergedEvent(
                time=t, step=step, cause=told, seed=1, places=(512, 90_112), losses=(1.42, 5.21),
                texts=("ROMEO:\nHe jests at scars", "@@@@ %% 0x00 \x1b[2J"), checkpoint=checkpoint,
            )
        )  # fmt: skip
        where = checkpoint.replace("step_", "step ")
        self.end("failed", f"stopped before a harmful update: {told}; resume from {where} with a lower rate.")

    def end(self, reason: str = "finished", message: str = "") -> None:
        """Training ended."""
        self.append(lambda t: j.EndedEvent(time=t, step=self.step, reason=reason, message=message))
        self.release()


def branched(folder: Path, until: int = 1412, total: int = 2000) -> FakeRun:
    """Trains to 1,000, is resumed from 800 (200 steps are abandoned) and stands at `until`."""
    run = FakeRun(folder, total=total)
    run.train(1000)
    run.end("stopped")
    run.resume(800, lift=-0.03)
    run.train(900, checkpoints=False)
    run.scale_rate(0.5)
    run.train(until)
    if until >= 1400:
        run.predict(min(total, 1600), 1.452, 0.012)
        run.predict(total, 1.441, 0.02)
    return run
