"""Notes: what is worth saying about a stretch of training, each by a rule that the report states."""

from dataclasses import dataclass

import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.fits import Floats, Ints
from nexus_tui.runs.run import Run

RULES = {
    "largest drop": "the row whose training loss fell most from the row before",
    "new best": "a validation loss below all earlier ones on record",
    "plateau": "the third row in a row, and every third after it, without a new lowest training loss",
    "peak lr": "the first row at the highest learning rate on record, after lower ones",
    "spike": "a step with a training loss over 5 standard deviations above the mean of the 50 before it",
    "resumed": "training went on from a checkpoint here; what came later on the branch before is abandoned",
    "first samples": "the first text that the run wrote",
}
PLATEAU = 3
SPIKE_STEPS, SPIKE_DEVIATIONS = 50, 5.0
SHORT = 40
"""Characters of a user's note that still go into the table; a longer one is listed below it."""


@dataclass(frozen=True)
class Note:
    """One observation, and the rule in RULES it follows; empty for a note that a person wrote."""

    step: int
    text: str
    rule: str


def observations(run: Run, steps: Ints, losses: Floats, rates: Floats) -> list[Note]:
    """Every note about the rows of a progress chart: [rows] each, steps rising."""
    found = [
        *_drop(steps, losses),
        *_peak(steps, rates),
        *_plateaus(steps, losses),
        *_spikes(run),
        *_bests(run),
        *_events(run),
    ]
    return sorted(found, key=lambda note: note.step)


def _drop(steps: Ints, losses: Floats) -> list[Note]:
    if len(losses) < 3:
        return []
    falls = -np.diff(losses)
    row = int(np.nanargmax(falls)) if np.isfinite(falls).any() else -1
    if row < 0 or falls[row] <= 0:
        return []
    return [Note(int(steps[row + 1]), f"largest drop ({falls[row]:.4f})", "largest drop")]


def _peak(steps: Ints, rates: Floats) -> list[Note]:
    if len(rates) < 2 or rates.max() <= 0 or rates.max() == rates.min():
        return []
    row = int(np.argmax(rates))
    if not row:
        return []  # the peak was before the first row
    return [Note(int(steps[row]), "peak lr", "peak lr")]


def _plateaus(steps: Ints, losses: Floats) -> list[Note]:
    found, lowest, since = [], np.inf, 0
    for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
        since = 0 if loss < lowest else since + 1
        lowest = min(lowest, loss)
        if since and since % PLATEAU == 0:
            found.append(Note(step, f"plateau ({since} rows)", "plateau"))
    return found


def _spikes(run: Run) -> list[Note]:
    """From the single steps: a row of the chart is a mean and hides them."""
    kept = run.canonical()
    steps, losses = run.steps["step"][kept], run.steps["loss"][kept]
    if len(losses) <= SPIKE_STEPS:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(losses, SPIKE_STEPS)[:-1]
    dense = steps[SPIKE_STEPS:] - steps[:-SPIKE_STEPS] == SPIKE_STEPS
    limit = windows.mean(1) + SPIKE_DEVIATIONS * windows.std(1)
    rows = np.flatnonzero(dense & (losses[SPIKE_STEPS:] > limit)) + SPIKE_STEPS
    return [Note(int(steps[row]), f"spike ({losses[row]:.4f} at step {steps[row]})", "spike") for row in rows]


def _bests(run: Run) -> list[Note]:
    found, lowest = [], np.inf
    for evaluation in run.trained:  # an average belongs to no row of the chart
        if evaluation.loss < lowest:
            lowest = evaluation.loss
            text = f"validation {lowest:.4f}, perplexity {evaluation.perplexity:.2f}: new best"
            found.append(Note(evaluation.step, text, "new best"))
    return found


def _events(run: Run) -> list[Note]:
    found = []
    if run.samples:
        found.append(Note(run.samples[0].step, "first samples", "first samples"))
    for event in run.log:
        if isinstance(event, j.ResumedEvent):
            found.append(Note(event.step, f"resumed from step {event.step}", "resumed"))
        elif isinstance(event, j.NotedEvent) and event.step and len(event.text) <= SHORT:
            found.append(Note(event.step, event.text, ""))
    return found
