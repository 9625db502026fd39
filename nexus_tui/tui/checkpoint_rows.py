"""What is known of every checkpoint of a run, a row each, and the verdict in plain words. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nexus_tui.runs import truth
from nexus_tui.runs.audit import Verdict, audit
from nexus_tui.runs.averages import short
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint
from nexus_tui.runs.journal import ResumedEvent, SampledEvent, SavedEvent
from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format
from nexus_tui.tui.lines import Span
from nexus_tui.tui.safe import plain
from nexus_tui.untrusted_files import is_plain_name


@dataclass(frozen=True)
class Row:
    """One checkpoint: saved or evaluated or both, its files kept or not."""

    name: str
    step: int
    branch: int
    saved: SavedEvent | None
    evaluation: Evaluation | None
    """The newest under the newest protocol, else the newest of all."""
    checkpoint: Checkpoint | None
    """None if its files are gone or damaged."""
    elsewhere: bool
    """Whether its files are said to be where this program cannot look."""
    damage: str
    """What is wrong with its files, as far as is known without hashing them."""
    ranked: bool
    """Whether it was evaluated as the newest one was, so that their losses can be compared."""
    best: bool
    delta: float
    """Loss less the best's, nats per token; NaN where the two cannot be compared."""
    tied: bool | None
    abandoned: bool
    """Not on the line that led to the newest weights."""
    lineage: str
    """Its place in the tree of resumes, empty in a run without any; or that it is an average."""

    @property
    def averaged(self) -> bool:
        """Whether it is an average of others."""
        return bool(self.saved and self.saved.parents)

    @property
    def short(self) -> str:
        """What a column calls it: its step, or the name of an average."""
        return plain(self.name) if self.averaged else f"{self.step:,}"

    @property
    def title(self) -> str:
        """What a sentence calls it: its step, or the name of an average."""
        return plain(self.name) if self.averaged else f"step {self.step:,}"

    @property
    def named(self) -> str:
        """`title` where a sentence begins."""
        return self.title if self.averaged else f"Step {self.step:,}"

    @property
    def weights(self) -> str:
        """`kept`, `elsewhere`, `damaged`, `gone`, or empty for one that was never saved."""
        if self.checkpoint or self.elsewhere:
            return "kept" if self.checkpoint else "elsewhere"
        return "damaged" if self.damage else "gone" if self.saved else ""


def signature(run: Run) -> tuple[object, ...]:
    """Changes whenever the rows may: cheap to ask at every refresh, unlike the rows."""
    return (run.folder, len(run.log), len(run.branches), tuple(run.checkpoints), _link(run))


def rows(run: Run) -> list[Row]:
    """Every checkpoint on record, line after line of the tree, by step."""
    ranks = {ranked.evaluation.name: ranked for ranked in truth.ranking(run)}
    evaluations = {evaluation.name: evaluation for evaluation in run.evaluations}
    saved = run.saved
    places = {name: (run.branch_of(name), event.step) for name, event in saved.items()}
    for name, evaluation in evaluations.items():
        places.setdefault(name, (evaluation.branch, evaluation.step))
    ordered = sorted(places, key=lambda name: (places[name], run.averaged(name), name))
    lineage = _lineage(run, ordered, places)
    found = []
    for name, drawn in zip(ordered, lineage, strict=True):
        branch, step = places[name]
        rank = ranks.get(name)
        checkpoint = run.checkpoints.get(name)
        found.append(
            Row(
                name=name,
                step=step,
                branch=branch,
                saved=saved.get(name),
                evaluation=rank.evaluation if rank else evaluations.get(name),
                checkpoint=checkpoint,
                elsewhere=run.weights(name) == "elsewhere",
                damage="" if checkpoint else _damage(run, name),
                ranked=rank is not None,
                best=rank is not None and rank.best,
                delta=rank.delta if rank else math.nan,
                tied=rank.tied if rank else None,
                abandoned=not run.on_line(branch, step),
                lineage=drawn,
            )
        )
    return found


def _damage(run: Run, name: str) -> str:
    path = run.folder / "checkpoints" / name
    if not is_plain_name(name) or not path.is_dir():
        return ""
    try:
        open_checkpoint(path)
    except CheckpointError as error:
        return str(error)
    return ""


def _lineage(run: Run, names: list[str], places: dict[str, tuple[int, int]]) -> Iterator[str]:
    """The tree of resumes beside the rows: `├─ 0 → 1400` where a branch begins, a rule down its side."""
    whole = len(run.branches) == 1
    last = places[names[-1]][0] if names else -1
    ends = dict(places[name] for name in names)
    limits = run.line()
    drawn = None
    for name in names:
        branch, step = places[name]
        aside = short(run.saved[name]) if run.averaged(name) else ""
        if whole:
            yield aside
        elif branch != drawn:
            drawn = branch
            start, end = run.branches[branch].start, min(ends[branch], limits.get(branch, ends[branch]))
            yield f"{'└' if branch == last else '├'}─ {start} → {end}"
        else:
            aside = aside or ("" if run.on_line(branch, step) else "abandoned")
            yield f"{' ' if branch == last else '│'}  {aside}".rstrip()


def tokens_seen(run: Run, row: Row) -> int | None:
    """Tokens trained on up to a checkpoint; None if its step is not on record, or nobody trained it."""
    if row.averaged:
        return None
    steps = run.steps
    here = (steps["step"] == row.step) & (steps["branch"] == row.branch)
    return int(steps["tokens"][here][-1]) if here.any() else None


def samples(run: Run, row: Row) -> list[SampledEvent]:
    """What was sampled at the row's step of its branch, each prompt once; of several times the newest."""
    if row.averaged:
        return []
    branch, newest = 0, {}
    for event in run.log:
        if isinstance(event, ResumedEvent):
            branch += 1
        elif isinstance(event, SampledEvent) and (branch, event.step) == (row.branch, row.step):
            newest[event.prompt] = event
    return list(newest.values())


def verdict(run: Run, table: list[Row]) -> list[Span]:
    """Which checkpoint is the best, in one sentence, and which cannot be told from it."""
    if not table:
        every = run.setting("checkpoint.every")
        when = f"; the first comes at step {int(every):,}" if every else ""
        return [(f"No checkpoint yet{when}.", "muted")]
    best = next((row for row in table if row.best), None)
    if best is None or best.evaluation is None:
        reason = "none is evaluated" if not run.evaluations else "none that was evaluated has its weights"
        return [(f"No best among {len(table)}: {reason}.", "warn")]
    others = [row for row in table if row.ranked and not row.best]
    spans: list[Span] = [("★ ", "best"), (best.title.removeprefix("step "), "best")]
    if not others:
        spans.append((f" is the only one evaluated: {format.loss(best.evaluation.loss)} nats/token", "text"))
        return spans
    spans.append(
        (f" is the best of {len(others) + 1}: {format.loss(best.evaluation.loss)} nats/token", "text")
    )
    windows = f" (paired over {best.evaluation.event.windows:,} windows)"
    tied = [row for row in others if row.tied]
    unknown = [row for row in others if row.tied is None]
    if tied:
        spans.append((f"; {_listed(tied)} cannot be told from it{windows}", "muted"))
    elif len(unknown) < len(others):
        rest = "every other" if not unknown else "every other that can be tested"
        spans.append((f"; {rest} is worse{windows}", "muted"))
    else:
        spans.append(("; ties unknown: the losses of its windows are not on record", "muted"))
    lower = [row for row in others if row.delta < 0 and row.weights in ("gone", "damaged", "")]
    if lower:
        plural = "their" if len(lower) > 1 else "its"
        spans.append((f"; {_listed(lower)} scored lower, but {plural} weights are gone", "warn"))
    return spans


def false_claims(run: Run, table: list[Row]) -> list[str]:
    """What is wrong with whatever calls itself the best, a sentence each, without hashing any weights."""
    found = []
    for judged in audit(run, hashes=False).judged:
        if judged.verdict not in (Verdict.TRUE, Verdict.TIED, Verdict.UNVERIFIABLE):
            step = "" if judged.claim.step is None else f" → {judged.claim.step:,}"
            if run.averaged(judged.claim.checkpoint):
                step = f" → {judged.claim.checkpoint}"
            why = ": ".join(part.rstrip(".") for part in (judged.reason, judged.cause) if part)
            found.append(plain(f"{judged.claim.name}{step} is {judged.verdict}: {why}"))
    best = next((row for row in table if row.best), None)
    if best and run.kind == "run" and _link(run) is None:
        found.append(f"there is no link `best` on disk; the best is {best.name}")
    return found


def _link(run: Run) -> str | None:
    try:
        return Path((run.folder / "best").readlink()).name
    except OSError:
        return None


def _listed(some: list[Row], at_most: int = 4) -> str:
    names = [row.title.removeprefix("step ") for row in some[:at_most]]
    if len(some) > at_most:
        return f"{', '.join(names)} and {len(some) - at_most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
