"""Every name that claims to be the best checkpoint of a run: where it points and what is really there.

In a run folder those are the link `best` and whatever else is called best (`best.bin`, `best_model/` …); for
the rest the journal or another tool's record says so. Files are told apart by SHA-256, never loaded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nexus_tui.runs.checkpoints import (
    WEIGHTS,
    Checkpoint,
    CheckpointError,
    file_sha256,
    list_checkpoints,
    open_checkpoint,
)
from nexus_tui.runs.journal import ClaimedEvent
from nexus_tui.runs.run import Run

_BEST = re.compile(r"best([._-].*)?", re.IGNORECASE)
_HASHED = 64 << 30
"""Bytes of a file that is hashed at most, where the record says nothing of sizes: a minute's work."""
_MODEL_FILES = (WEIGHTS, "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Claim:
    """One name that claims to be the best."""

    name: str
    """As the user knows it: `best`, `best.bin`, `best_model_checkpoint`."""
    path: str = ""
    """Where it points."""
    checkpoint: str = ""
    """Name of the checkpoint whose weights it holds or names; empty if that is not known."""
    step: int | None = None
    metric: str = ""
    """What it is the best by; empty for the validation loss."""
    value: float | None = None
    """The score it claims."""
    higher_is_better: bool = False
    """The direction in which who made the claim took the metric."""
    problem: Literal["", "missing", "mislabelled", "unverifiable"] = ""
    """What is wrong with it before any score is looked at."""
    reason: str = ""
    """… in one sentence."""


def claims(run: Run, hashes: bool = True) -> list[Claim]:
    """Every claim about a run: of files in its folder, then those on record.

    With `hashes`, the weights that a claim rests on are read and hashed (a second for some gigabytes).
    """
    found = [_of_path(run, path, hashes) for path in _named_best(run.folder)]
    return found + [_of_event(run, event, hashes) for event in run.claims]


def _named_best(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "checkpoints"):
        try:
            entries = sorted(place.iterdir()) if place.is_dir() else []
        except OSError:
            continue
        yield from (entry for entry in entries if _BEST.fullmatch(entry.name))


def _of_path(run: Run, path: Path, hashes: bool) -> Claim:
    name = str(path.relative_to(run.folder))
    claim = Claim(name, str(path.readlink()) if path.is_symlink() else name)
    if not path.exists():
        return _lost(
            run, replace(claim, checkpoint=path.readlink().name, step=_step(run, path.readlink().name))
        )
    target = path.resolve()
    kept = next((c for c in run.checkpoints.values() if c.path.resolve() == target), None)
    if kept:
        return _of_checkpoint(run, replace(claim, checkpoint=kept.name, step=kept.step), kept, hashes)
    weights = _model_file(target)
    if weights is None:
        return replace(
            claim, problem="unverifiable", reason=f"{name} holds no weights that this program knows."
        )
    if not hashes:
        return replace(claim, problem="unverifiable", reason=f"{name} has not been hashed.")
    return _of_weights(run, claim, weights)


def _of_event(run: Run, event: ClaimedEvent, hashes: bool) -> Claim:
    named = [name for name, saved in run.saved.items() if saved.step == event.step and not saved.parents]
    named = named or [e.name for e in run.trained if e.step == event.step]
    checkpoint = named[-1] if named else ""
    claim = Claim(
        event.name, event.path, checkpoint, event.step, event.metric, event.value, event.higher_is_better
    )
    kept = run.checkpoints.get(checkpoint)
    if kept:
        return _of_checkpoint(run, claim, kept, hashes)
    if event.path and checkpoint and run.weights(checkpoint) == "gone":
        return _lost(run, claim)
    return claim


def _of_checkpoint(run: Run, claim: Claim, kept: Checkpoint, hashes: bool) -> Claim:
    """A claim that names a checkpoint which is there: does it hold what was saved under this name?"""
    path, recorded = kept.path / WEIGHTS, run.saved[kept.name].sha256
    try:
        actual = file_sha256(path) if hashes else kept.sha256
    except OSError as error:
        return replace(claim, problem="missing", reason=f"{path} cannot be read ({error.strerror}).")
    if not recorded or actual == recorded:
        return claim
    owners = [name for name, saved in run.saved.items() if saved.sha256 == actual]
    holds = f"those of {owners[-1]}" if owners else "of no checkpoint on record"
    reason = f"the weights in {kept.name} are {holds} (SHA-256), not what was saved under that name."
    return replace(claim, problem="mislabelled", reason=reason)


def _of_weights(run: Run, claim: Claim, weights: Path) -> Claim:
    """A claim that is a file or folder of its own: whose weights does it hold?"""
    try:
        size = weights.stat().st_size
        if size > _most_bytes(run):
            reason = f"{claim.name} holds more bytes than any checkpoint on record."
            return replace(claim, problem="unverifiable", reason=reason)
        digest = file_sha256(weights)
    except OSError as error:
        reason = f"{weights} cannot be read ({error.strerror})."
        return replace(claim, problem="unverifiable", reason=reason)
    owners = [name for name, saved in run.saved.items() if saved.sha256 == digest]
    for name in run.saved:
        path = run.weights_path(name)
        kept = _model_file(path) if path and not run.saved[name].sha256 else None
        if kept and kept.stat().st_size == size and file_sha256(kept) == digest:
            owners.append(name)
    if not owners:
        reason = f"{claim.name} holds weights (SHA-256 {digest[:12]}…) of no checkpoint on record."
        return replace(claim, problem="unverifiable", reason=reason)
    claimed = _said_step(weights.parent)
    step = run.saved[owners[-1]].step
    claim = replace(claim, checkpoint=owners[-1], step=step)
    if claimed is not None and claimed not in {run.saved[name].step for name in owners}:
        reason = f"{claim.name} says that it is step {claimed}, but its weights are those of step {step}."
        return replace(claim, problem="mislabelled", reason=reason)
    return claim


def _most_bytes(run: Run) -> int:
    """That the weights of a checkpoint on record may have: a larger file is not read to its end."""
    known = [saved.bytes for saved in run.saved.values()]
    return max(known) if known and all(known) else _HASHED


def _lost(run: Run, claim: Claim) -> Claim:
    """What it points to is not there. Perhaps the folder has only been given another name."""
    saved = run.saved.get(claim.checkpoint)
    reason = f"{claim.path or claim.checkpoint} is not there"
    if saved and saved.sha256:
        others = [c.name for c in list_checkpoints(run.folder) if c.sha256 == saved.sha256]
        if others:
            reason += f"; its weights are in {others[0]}: rename that back"
    return replace(claim, problem="missing", reason=f"{reason}.")


def _model_file(path: Path) -> Path | None:
    """The file of weights that a path is, or that a model folder holds."""
    if path.is_dir():
        return next((path / name for name in _MODEL_FILES if (path / name).is_file()), None)
    return path if path.is_file() else None


def _said_step(folder: Path) -> int | None:
    """The step that the manifest of a copied checkpoint folder says it is."""
    try:
        return open_checkpoint(folder).step
    except CheckpointError:
        return None


def _step(run: Run, checkpoint: str) -> int | None:
    saved = run.saved.get(checkpoint)
    return saved.step if saved else None
