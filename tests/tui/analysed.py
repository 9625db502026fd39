"""Made results of the analysis, the same on every machine: pictures must not depend on torch's rounding."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nexus_tui.analysis import average as average_module
from nexus_tui.analysis import inside as inside_module
from nexus_tui.analysis import token_losses as token_losses_module
from nexus_tui.analysis.inside import AttentionInside, Inside, LayerInside, MambaInside, Spread
from nexus_tui.runs.subject import Subject
from nexus_tui.runs.token_losses import TokenLosses

Progress = Callable[[int, int], None] | None

TEXT = (
    b"ROMEO:\nIs the day so young? But new struck nine.\n\nBENVOLIO:\nAy me! sad hours seem long;"
    b" 't was caf\xc3\xa9, and 12 o'clock. What, shall we be the ones that laugh?\n"
    b"No, by my troth: I weep at thy good heart.\n\n"
)
"""Valid UTF-8 with a character of two bytes, digits, capitals and line breaks."""
LENGTH = 32


def made_tokens(subject: Subject, progress: Progress = None) -> TokenLosses:
    """Bytes of TEXT over and over; each window's mean is the one on record."""
    means = subject.run.window_losses(subject.name)
    assert means is not None
    windows = len(means)
    text = (TEXT * (1 + windows * LENGTH // len(TEXT)))[: windows * LENGTH + 1]
    ids = np.frombuffer(text, np.uint8).astype(np.int64)
    inputs, targets = ids[:-1].reshape(windows, LENGTH), ids[1:].reshape(windows, LENGTH)
    hard = np.where(np.isin(targets, list(b" \n")), 0.6, 1.0) + np.where(targets < 97, 0.7, 0.0)
    early = 1 + 1.2 * np.exp(-np.arange(LENGTH) / 5)
    noise = np.random.default_rng(subject.step).random((windows, LENGTH)) ** 2
    raw = (0.1 + noise) * hard * early
    if progress:
        progress(windows, windows)
    losses = (raw * (means[:, None] / raw.mean(axis=1, keepdims=True))).astype(np.float32)
    tokens = [bytes((byte,)) for byte in range(256)]
    protocol = subject.evaluation.event.protocol if subject.evaluation else ""
    return TokenLosses(losses, inputs, targets, tokens, protocol)


def made_inside(subject: Subject, progress: Progress = None) -> Inside:
    """Two layers whose figures grow with the step."""
    grown = 1 + subject.step / 1000
    if progress:
        progress(64, 64)
    mamba = MambaInside(
        state=0.05 * grown,
        dt=Spread(0.0012, 0.004, 0.021 * grown, 0.11, 0.64),
        memory=Spread(1.1, 4.2, 17.3 * grown, 96.0, 1240.0),
        beyond=0.18,
    )
    attention = AttentionInside(entropy=(1.2 / grown, 2.0, 2.4, 0.4), share=(0.43 / grown, 0.71, 0.86, 0.14))
    layers = (
        LayerInside(0, 3.2 * grown, 1.4 * grown, mamba=mamba),
        LayerInside(1, 5.9 * grown, 3.1 * grown, attention=attention),
    )
    return Inside(windows=64, length=LENGTH, embedding=0.9, layers=layers)


def made_scores(
    subjects: Sequence[Subject], weighing: Sequence[float], _ready: object, progress: Progress = None
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], float]:
    """What an average loses on every window: a little less than its parents do on average."""
    losses = np.array([subject.run.window_losses(subject.name) for subject in subjects])
    if progress:
        progress(losses.shape[1], losses.shape[1])
    mean = np.average(losses, axis=0, weights=weighing) - 0.05
    return mean.astype(np.float32), float(mean.mean()) / math.log(2)


def use_made_results(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the screen have made results; returns what is computed, as it comes."""
    asked: list[str] = []

    def noting(kind: str, made: Callable[..., Any]) -> Callable[..., Any]:
        def compute(subject: Subject, progress: Progress = None) -> Any:
            asked.append(f"{kind} {subject.name}")
            return made(subject, progress)

        return compute

    monkeypatch.setattr(token_losses_module, "token_losses", noting("tokens", made_tokens))
    monkeypatch.setattr(inside_module, "inside", noting("inside", made_inside))
    monkeypatch.setattr(average_module, "opened", lambda _: None)
    monkeypatch.setattr(average_module, "_score", made_scores)
    return asked
