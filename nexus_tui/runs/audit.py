"""The audit: does each name that claims to be the best checkpoint hold the best checkpoint?"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nexus_tui.runs import truth
from nexus_tui.runs.causes import Score, why_stale
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.claims import Claim, claims
from nexus_tui.runs.directions import higher_is_better
from nexus_tui.runs.run import Evaluation, Run

_CLOSE = 1e-6
"""Scores are the same number if they differ by less than this part: files and names round."""


class Verdict(StrEnum):
    """On one claim to be the best."""

    TRUE = "TRUE"
    TIED = "TIED"
    """Another scores better or as well, and the two cannot be told apart."""
    STALE = "STALE"
    """Another checkpoint that exists is better."""
    MISLABELLED = "MISLABELLED"
    """Weights or score are of another step than it says."""
    MISSING = "MISSING"
    UNVERIFIABLE = "UNVERIFIABLE"


@dataclass(frozen=True)
class Judged:
    """A claim and the verdict on it."""

    claim: Claim
    verdict: Verdict
    reason: str
    """In one sentence; may be empty for TRUE."""
    cause: str = ""
    """How it came about, as far as the history tells."""
    better: Evaluation | None = None
    """The best of those that exist, if the claim is not it."""
    by: float | None = None
    """How much better, in the metric's own units; never negative."""


@dataclass(frozen=True)
class Audit:
    """All claims about a run, and what is true instead."""

    run: Run
    judged: list[Judged]
    best: Evaluation | None
    """The best checkpoint whose weights exist, by validation loss."""
    best_ever: Evaluation | None
    """The lowest validation loss of all, whether its weights exist or not."""
    tied: list[Evaluation]
    """Those that cannot be told from the best."""
    damaged: list[str]
    """What `verify` found wrong with other checkpoints, a sentence each."""
    remarks: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong: every claim true or tied, and no checkpoint damaged."""
        return not self.damaged and all(j.verdict in (Verdict.TRUE, Verdict.TIED) for j in self.judged)


def audit(run: Run, *, hashes: bool = True, verify: bool = False) -> Audit:
    """Judge every claim about a run.

    `hashes` reads the weights that claims rest on, `verify` every file of every checkpoint.
    """
    ranked = truth.ranking(run)
    evaluations = list(truth.evaluated(run).values())
    best = next((r.evaluation for r in ranked if r.best), None)
    ever = truth.lowest(evaluations)
    return Audit(
        run=run,
        judged=[_judge(run, claim, ranked) for claim in claims(run, hashes)],
        best=best,
        best_ever=ever,
        tied=[r.evaluation for r in ranked if r.tied and r.weights != "gone"],
        damaged=_damaged(run) if verify else [],
        remarks=_remarks(run, evaluations, best, ever),
    )


def _judge(run: Run, claim: Claim, ranked: list[truth.Ranked]) -> Judged:
    if claim.problem:
        return Judged(claim, Verdict(claim.problem.upper()), claim.reason)
    if claim.step is None:
        return Judged(claim, Verdict.UNVERIFIABLE, "it does not say which step it is.")
    score = scored_by(claim.metric)
    evaluations = [r.evaluation for r in ranked]
    own = [e for e in evaluations if e.name == claim.checkpoint] or [
        e for e in evaluations if e.step == claim.step and not e.averaged
    ]
    if not own:
        return Judged(
            claim, Verdict.UNVERIFIABLE, f"step {claim.step} was never evaluated as the newest one was."
        )
    claimed = own[-1]
    if wrong := _wrong_score(claim, claimed, evaluations, score):
        return wrong
    existing = [r.evaluation for r in ranked if r.weights != "gone" or r.evaluation is claimed]
    finite = [e for e in existing if math.isfinite(score(e))]
    if not finite:
        of = claim.metric or "validation loss"
        return Judged(claim, Verdict.UNVERIFIABLE, f"no {of} on record is a finite number.")
    best = min(finite, key=lambda e: (score(e), e.step))
    return _compared(run, claim, claimed, best, ranked, score)


def _compared(
    run: Run, claim: Claim, claimed: Evaluation, best: Evaluation, ranked: list[truth.Ranked], score: Score
) -> Judged:
    if claimed is best:
        by_loss = next((r.evaluation for r in ranked if r.best), None)
        if claim.metric and by_loss and by_loss is not claimed:
            reason = f"by {claim.metric}; the lowest validation loss is at {by_loss.title}."
            return Judged(claim, Verdict.TRUE, reason)
        return Judged(claim, Verdict.TRUE, "")
    by = score(claimed) - score(best)
    if by == 0:
        return Judged(claim, Verdict.TIED, f"{best.title} scores exactly the same.", "", best, 0.0)
    if not claim.metric and any(r.tied and r.evaluation is claimed for r in ranked):
        reason = f"{best.title} scores {by:.4f} better, which the windows do not tell from chance."
        return Judged(claim, Verdict.TIED, reason, "", best, by)
    cause = why_stale(run, claimed, best, score)
    if claim.metric and claim.higher_is_better != higher_is_better(claim.metric):
        way = "higher" if claim.higher_is_better else "lower"
        cause = f"{claim.metric} was taken as better when {way}"
    unit = "" if run.foreign else " nats per token"  # nobody knows what another tool's loss counts
    amount = f"by {by:.4g} in {claim.metric}" if claim.metric else f"by {by:.4f}{unit}"
    if not math.isfinite(by):
        return Judged(claim, Verdict.STALE, f"{best.title} has a finite score.", cause, best)
    return Judged(claim, Verdict.STALE, f"{best.title} is better {amount}.", cause, best, by)


def _wrong_score(
    claim: Claim, claimed: Evaluation, evaluations: list[Evaluation], score: Score
) -> Judged | None:
    """MISLABELLED if the score that the claim shows is another step's."""
    if claim.value is None or not math.isfinite(claim.value):
        return None
    sign = -1 if higher_is_better(claim.metric) else 1

    def same(e: Evaluation) -> bool:
        return math.isclose(sign * score(e), claim.value or 0.0, rel_tol=_CLOSE)

    if same(claimed):
        return None
    owners = [e for e in evaluations if same(e)]
    if not owners:
        reason = f"its score {claim.value:.6g} is of no evaluation on record."
        return Judged(claim, Verdict.UNVERIFIABLE, reason)
    owner = owners[0]
    before = evaluations[evaluations.index(claimed) - 1] if evaluations.index(claimed) else None
    cause = "the score was attached one evaluation late" if before in owners else ""
    reason = f"it shows the score of {owner.title} ({claim.value:.6g}), but names {claimed.title}."
    return Judged(claim, Verdict.MISLABELLED, reason, cause, owner)


def scored_by(metric: str) -> Score:
    """How evaluations are compared by a metric, lower being better; empty is the validation loss."""
    if not metric:
        return lambda e: e.loss
    sign = -1 if higher_is_better(metric) else 1

    def score(e: Evaluation) -> float:
        value = e.event.metrics.get(metric)
        return math.nan if value is None else sign * value

    return score


def _damaged(run: Run) -> list[str]:
    found = []
    for checkpoint in run.checkpoints.values():
        try:
            checkpoint.verify()
        except CheckpointError as error:
            found.append(str(error))
            continue
        if run.saved[checkpoint.name].sha256 not in ("", checkpoint.sha256):
            found.append(f"{checkpoint.path} holds other weights than were saved as {checkpoint.name}.")
    return found


def _remarks(
    run: Run, evaluations: list[Evaluation], best: Evaluation | None, ever: Evaluation | None
) -> list[str]:
    remarks = run.damage_of_record
    if best and ever and ever.loss < best.loss:
        why = "its weights are gone" if ever.name in run.saved else "it was never saved"
        remarks.append(f"{ever.title} scored {best.loss - ever.loss:.4f} lower, but {why}")
    older = {e.event.protocol for e in run.evaluations} - {e.event.protocol for e in evaluations}
    if older:
        remarks.append("evaluations on other windows or texts are on record and are not compared")
    compared = sum(math.isfinite(e.loss) for e in evaluations)
    heldout = next((e for e in reversed(run.heldout) if best and e.checkpoint == best.name), None)
    if heldout and heldout.loss is not None:
        error = "" if heldout.stderr is None else f" ± {heldout.stderr:.4f}"
        remarks.append(f"on text kept from choosing it, the best's loss is {heldout.loss:.4f}{error}")
    elif best and compared > 1:
        remarks.append(
            f"picked as the lowest of {compared} on this same text, its loss is a little optimistic"
        )
    return remarks


def as_dict(result: Audit) -> dict[str, Any]:
    """The audit as `audit --json` prints it. Losses in nats per token."""
    return {
        "name": result.run.name,
        "kind": result.run.kind,
        "ok": result.ok,
        "best_step": result.best.step if result.best else None,
        "best_checkpoint": result.best.name if result.best else None,
        "best_loss": result.best.loss if result.best else None,
        "best_ever_step": result.best_ever.step if result.best_ever else None,
        "best_ever_loss": result.best_ever.loss if result.best_ever else None,
        "tied_steps": [evaluation.step for evaluation in result.tied if not evaluation.averaged],
        "tied_checkpoints": [evaluation.name for evaluation in result.tied],
        "claims": [
            {
                "name": judged.claim.name,
                "path": judged.claim.path,
                "step": judged.claim.step,
                "metric": judged.claim.metric or "loss",
                "value": judged.claim.value,
                "verdict": judged.verdict.value,
                "reason": judged.reason,
                "cause": judged.cause,
                "better_step": judged.better.step if judged.better else None,
                "better_checkpoint": judged.better.name if judged.better else None,
                "by": judged.by,
            }
            for judged in result.judged
        ],
        "damaged": result.damaged,
        "remarks": result.remarks,
    }
