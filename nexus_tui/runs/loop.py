"""The journal of a training loop of one's own: what the app, the audit and the comparison read of it.

with Journal.create("runs/mine", config={"optimizer": {"lr": 1e-3}}, steps=1000) as journal:
    for step in range(1, 1001):
        ...
        journal.step(step, loss.item(), lr=1e-3)
        if step % 100 == 0:
            with journal.checkpoint(step) as folder:
                safetensors.torch.save_model(model, folder / "model.safetensors")
            journal.evaluate(step, window_losses)
"""

import math
import os
import platform
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import (
    WEIGHTS,
    link_best,
    open_checkpoint,
    remove_unfinished,
    save_window_losses,
    writing_checkpoint,
)
from nexus_tui.runs.lock import BEAT, RunLock
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.reading import CHECKPOINTS, CONFIG, JOURNAL
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.run_toml import to_toml

KIND = "loop"
"""What such a run is called: the app shows and compares it, but cannot train or sample it."""


class Journal(j.Journal):
    """One run's journal with its folder and lock, open while a loop trains.

    Leaving the `with` block says how it ended: `finished`, `stopped` (Ctrl-C) or `failed`, with the error.
    What a full disk refuses waits and is written later; `failure` says so meanwhile. One thread may write.
    """

    def __init__(self, folder: Path) -> None:
        """Open a run's folder for writing. Raises RunLockedError if another process writes it."""
        self.folder = folder
        self._lock = RunLock(folder)
        super().__init__(folder / JOURNAL)
        remove_unfinished(folder)
        self._run = Run(folder)
        self._newest = 0
        self._began = time.perf_counter()
        self._done = threading.Event()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    @classmethod
    def create(
        cls,
        folder: Path | str,
        config: Mapping[str, Any] | None = None,
        *,
        steps: int = 0,
        parameters: int = 0,
        train_tokens: int = 0,
        validation_tokens: int = 0,
        validation_bytes: int = 0,
    ) -> Self:
        """Begin a new run in a folder that does not exist yet, in the runs folder that the app shows.

        `config` is kept as run.toml: tables of values, such as `{"optimizer": {"lr": 1e-3}}`; values outside
        a table go to one named `loop`. `steps` is the plan, for progress and forecasts. `validation_bytes`,
        those of the text that the validation tokens stand for, lets a mean loss be bits per byte.
        Raises RunError if the folder exists or cannot be made.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True)
            (folder / CONFIG).write_text(to_toml(_tables(config or {}, steps)), "utf-8")
        except FileExistsError:
            raise RunError(f"{folder} exists; resume it with Journal.resume, or name another.") from None
        except OSError as error:
            raise RunError(f"{folder} cannot be written ({error.strerror}).") from None
        journal = cls(folder)
        journal.append(
            j.StartedEvent(
                kind=KIND,
                parameters=parameters,
                train_tokens=train_tokens,
                validation_tokens=validation_tokens,
                validation_bytes=validation_bytes,
            ),
            _device(),
            durable=True,
        )
        return journal

    @classmethod
    def resume(cls, folder: Path | str, checkpoint: str | int) -> Self:
        """Go on with a run from one of its checkpoints, by name or step: a new branch; the old one is kept.

        Raises RunError if there is no such run or checkpoint, RunLockedError if another process writes it.
        """
        kept = Run.open(Path(folder)).checkpoint(checkpoint)
        journal = cls(Path(folder))
        journal.append(_device(), j.ResumedEvent(step=kept.step, checkpoint=kept.name), durable=True)
        journal._newest = kept.step
        return journal

    def step(
        self, step: int, loss: float, lr: float = 0.0, *, grad_norm: float | None = None, tokens: int = 0,
        seconds: float | None = None, **measured: float,
    ) -> None:  # fmt: skip
        """Put one optimizer step on record, counted from 1.

        `loss` is the mean over the batch in nats per token, before the update; `tokens` were trained on so
        far; `seconds` are this step's (default: since the step before). Anything else by name is a metric
        of its own. NaN and infinities are kept as what is no number.
        """
        now = time.perf_counter()
        seconds = now - self._began if seconds is None else seconds
        self._began, self._newest = now, step
        self.append(
            j.StepEvent(
                step=step,
                loss=_kept(loss),
                lr=float(lr),
                grad_norm=_kept(grad_norm),
                tokens=tokens,
                seconds=round(seconds, 6),
            )
        )
        if measured:
            self.measure(step, **measured)

    def measure(self, step: int, **values: float) -> None:
        """Put any other numbers of a step on record, by name: each is a metric of its own."""
        self.append(j.MeasuredEvent(step=step, values={name: _kept(value) for name, value in values.items()}))

    def evaluate(
        self, step: int, losses: "np.ndarray[Any, Any] | float", *, bits_per_byte: float | None = None,
        protocol: str = "", **metrics: float,
    ) -> None:  # fmt: skip
        """Put the validation loss of a step's weights on record, in nats per token.

        Give the mean loss of each validation window, [windows], always of the same windows in the order of
        the text: only then can checkpoints be told apart by a test. A mean alone is taken too. `protocol`
        names text, windows and context: only what has the same is ranked together.
        """
        name = self._name(step)
        windows = np.asarray(losses, np.float64).reshape(-1)
        spread = float(windows.std(ddof=1)) / math.sqrt(len(windows)) if len(windows) > 1 else None
        if len(windows) > 1:
            save_window_losses(self.folder, name, windows)
        self.append(
            j.EvaluatedEvent(
                step=step,
                checkpoint=name,
                loss=_kept(windows.mean()),
                stderr=_kept(spread),
                bits_per_byte=_kept(bits_per_byte),
                windows=len(windows) if len(windows) > 1 else 0,
                protocol=protocol or f"{len(windows)} windows",
                metrics={key: _kept(value) for key, value in metrics.items()},
            ),
            durable=True,
        )
        self._link_best()

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A folder to write a step's files into; it is a checkpoint when the block is left, or nothing.

        It takes `model.safetensors` and whatever else your loop resumes from. Raises RunError without that
        file; what the disk raises is passed on.
        """
        name = self._name(step)
        with writing_checkpoint(self.folder / CHECKPOINTS / name, step) as folder:
            yield folder
            if not (folder / WEIGHTS).is_file():
                raise RunError(f"{name} was not saved: its folder got no {WEIGHTS}.")
        saved = open_checkpoint(self.folder / CHECKPOINTS / name)
        self.append(
            j.SavedEvent(step=step, checkpoint=name, sha256=saved.sha256, bytes=saved.bytes), durable=True
        )
        self._link_best()

    def sample(self, step: int, prompt: str, text: str, *, temperature: float = 1.0, seed: int = 0) -> None:
        """Put a text on record that the weights of a step wrote after a prompt."""
        self.append(j.SampledEvent(step=step, prompt=prompt, text=text, temperature=temperature, seed=seed))

    def note(self, text: str, step: int | None = None) -> None:
        """Put a note on record, at the newest step unless another is named."""
        self.append(j.NotedEvent(step=self._newest if step is None else step, text=text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reason = "finished" if error is None else "failed" if isinstance(error, Exception) else "stopped"
        message = f"{type(error).__name__}: {error}" if reason == "failed" else ""
        self.append(j.EndedEvent(step=self._newest, reason=reason, message=message), durable=True)
        self.close()

    def close(self) -> None:
        """Close the file and let go of the run, without a word on how it ended."""
        self._done.set()
        super().close()
        self._lock.release()

    def _name(self, step: int) -> str:
        self._run.refresh()
        return self._run.checkpoint_name(self._run.branches[-1].index, step)

    def _link_best(self) -> None:
        """Let the link `best` point to the true best; where that is refused, the record says so."""
        self._run.refresh()
        ranked = truth.best(self._run)
        try:
            link_best(self.folder, ranked.checkpoint if ranked else None)
        except OSError as error:
            self.append(
                j.FaultedEvent(step=self._newest, message=f"the link `best` could not be moved: {error}")
            )

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            self._lock.beat()


def _device() -> j.DeviceEvent:
    return j.DeviceEvent(
        pid=os.getpid(), host=socket.gethostname(), device=platform.machine(), threads=os.cpu_count() or 1
    )


def _tables(config: Mapping[str, Any], steps: int) -> dict[str, dict[str, Any]]:
    """A configuration as tables; `steps`, the plan, stands where every run has it."""
    tables = {key: dict(value) for key, value in config.items() if isinstance(value, Mapping)}
    if values := {key: value for key, value in config.items() if not isinstance(value, Mapping)}:
        tables[KIND] = values | tables.get(KIND, {})
    if steps:
        tables["budget"] = tables.get("budget", {}) | {"steps": steps}
    return tables


def _kept(value: Any) -> float | None:
    """A number as the record keeps it. Takes a tensor's scalar, too."""
    return None if value is None else finite(float(value))
