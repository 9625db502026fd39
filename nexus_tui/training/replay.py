"""Repeating a run: the same configuration, the same acts at the same steps, and so the same losses."""

import math
from dataclasses import dataclass
from pathlib import Path

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training.control import Act, Control, Plan, ScaleRate, Stop, Wish
from nexus_tui.training.session import Session, SessionError


class Script(Control):
    """Asks for acts at the steps at which they were carried out, and for nothing else."""

    def __init__(self, acts: list[tuple[int, Act]]) -> None:
        """`acts` in the order in which they were carried out, each with its step."""
        super().__init__()
        self._acts = list(acts)

    def take(self, step: int, wait: bool = False) -> Wish | None:
        """The next act of the script, once its step is reached; else what somebody else asks for."""
        if self._acts and self._acts[0][0] <= step:
            return Wish(self._acts.pop(0)[1])
        return super().take(step, wait)


@dataclass(frozen=True)
class Difference:
    """The first step at which a repetition is not what it repeats; losses in nats per token."""

    step: int
    loss: float
    repeated: float


def acts(run: Run) -> list[tuple[int, Act]]:
    """What changed the training that led to the newest weights, and where it stopped before its end."""
    found: list[tuple[int, Act]] = []
    branch = 0
    for event in run.log:
        match event:
            case j.ResumedEvent():
                branch += 1
            case j.ControlledEvent(step=step, value=float(value)) if run.on_line(branch, step):
                if event.act == "rate_scale":
                    found.append((step, ScaleRate(value)))
                elif event.act == "plan":
                    found.append((step, Plan(int(value))))
    if run.step < run.total_steps:
        found.append((run.step, Stop()))
    return found


def begin(run: Run, runs_folder: Path, name: str = "") -> Session:
    """Begin to repeat a run under a name, by default its own and `-replay`.

    Raises SessionError, ConfigError.
    """
    if run.kind != "run" or not run.config:
        raise SessionError(f"{run.name} is a record of another program's run, so it cannot be repeated.")
    if run.holder:
        raise SessionError(f"{run.name} is being trained; repeat it when it has ended.")
    config = RunConfig.check(run.config, str(run.folder / "run.toml"))
    return Session.start(runs_folder, config, name or f"{run.name}-replay", Script(acts(run)))


def difference(run: Run, repetition: Run) -> Difference | None:
    """Where two runs part, bit for bit; None if every step of the first is in the second."""
    repeated = _losses(repetition)
    for step, loss in _losses(run).items():
        other = repeated.get(step, math.nan)
        if loss != other:
            return Difference(step, loss, other)
    return None


def _losses(run: Run) -> dict[int, float]:
    """The loss of every step that led to the newest weights."""
    line = run.canonical()
    return dict(zip(run.steps["step"][line].tolist(), run.steps["loss"][line].tolist(), strict=True))
