"""What `nexus-tui audit` prints: the verdicts, and what is true instead."""

from rich.text import Text

from nexus_tui.console import printer
from nexus_tui.runs.audit import Audit, Verdict
from nexus_tui.training.reevaluate import Reevaluation
from nexus_tui.untrusted import visible

_STYLES = {
    Verdict.TRUE: "green",
    Verdict.TIED: "green",
    Verdict.STALE: "bold red",
    Verdict.MISLABELLED: "bold red",
    Verdict.MISSING: "bold red",
    Verdict.UNVERIFIABLE: "yellow",
}


def print_audit(audit: Audit) -> None:
    """A run's verdicts, a line each with its reason below."""
    out = printer()
    out.print(Text(visible(f"{audit.run.name}: {_best(audit)}")), soft_wrap=True)
    width = max((len(judged.verdict) for judged in audit.judged), default=0)
    for judged in audit.judged:
        step = "" if judged.claim.step is None else f" → step {judged.claim.step}"
        if audit.run.averaged(judged.claim.checkpoint):
            step = f" → {judged.claim.checkpoint}"
        line = Text("  ")
        line.append(f"{judged.verdict.value:{width}}", _STYLES[judged.verdict])
        line.append(visible(f"  {judged.claim.name}{step}"))
        out.print(line, soft_wrap=True)
        for sentence in filter(None, (judged.reason, judged.cause)):
            out.print(Text(visible(f"  {'':{width}}  {sentence.rstrip('.')}.")), soft_wrap=True)
    if not audit.judged:
        out.print("  nothing claims to be the best", style="dim")
    for sentence in audit.damaged:
        out.print(Text(visible(f"  damaged: {sentence}"), "bold red"), soft_wrap=True)
    for remark in audit.remarks:
        out.print(Text(visible(f"  note: {remark}."), "dim"), soft_wrap=True)


def print_reevaluation(result: Reevaluation) -> None:
    """A checkpoint's loss, as journalled and as computed now."""
    out = printer()
    word = "agrees" if result.agrees else "DIFFERS"
    style = "green" if result.agrees else "bold red"
    line = Text(f"  {word:7}", style)
    line.append(
        f" {result.title}: {result.loss:.6f} nats per token now, {result.journalled:.6f} journalled "
        f"({result.difference:+.2e}; largest difference of a window {result.largest:.2e})"
    )
    out.print(line, soft_wrap=True)


def _best(audit: Audit) -> str:
    if audit.best is None:
        ever = audit.best_ever
        if ever is None:
            return "no evaluation on record"
        return f"no best; the lowest loss, {ever.loss:.4f} at {ever.title}, has no weights"
    tied = ", ".join(e.name if e.averaged else str(e.step) for e in audit.tied)
    unit = "" if audit.run.foreign else " nats per token"
    return f"★ {audit.best.title}, loss {audit.best.loss:.4f}{unit}" + (f" ≈ {tied}" if tied else "")
