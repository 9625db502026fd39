"""What a report recommends, from the rest of its facts alone."""

from typing import Any

from nexus_tui.runs.report.text import code, escape, number


def recommendation(
    checkpoints: list[dict[str, Any]], claims: list[dict[str, Any]], annealed: bool
) -> list[str]:
    """Sentences in Markdown; `annealed` is whether the newest learning rate is (almost) 0.

    Checkpoints' names come from the journal and are put in code spans.
    """
    evaluated = [row for row in checkpoints if row["validation_loss"] is not None]
    best = next((row for row in checkpoints if row["best"]), None)
    if not evaluated:
        return ["Nothing has been evaluated yet: there is no checkpoint to recommend."]
    if best is None:
        return ["No evaluated checkpoint has its weights: there is none to recommend."]
    what = f"an {escape(best['average'])}" if best["average"] else f"step {best['step']}"
    lines = [
        f"Use {code(best['checkpoint'])}, {what}: of the checkpoints whose weights exist, "
        f"its validation loss is the lowest ({number(best['validation_loss'])})."
    ]
    if ties := [code(row["checkpoint"]) for row in checkpoints if row["tied"] and not row["best"]]:
        lines.append(f"These cannot be told from it on this validation text: {', '.join(ties)}.")
    lines += [
        f"Do not rely on {code(claim['name'])}: it is {claim['verdict']}."
        for claim in claims
        if claim["verdict"] not in ("TRUE", "TIED")
    ]
    trained = [row for row in evaluated if row["on_line"] and not row["average"]]
    last = max(trained, key=lambda row: row["step"], default=best)
    if best["average"]:
        lines.append("Training cannot go on from an average: to train more, resume from one of its parents.")
    elif last["step"] > best["step"]:
        behind = last["validation_loss"] - best["validation_loss"]
        lines.append(
            f"Training on from step {best['step']} to {last['step']} did not lower the validation loss: "
            f"the newest is {number(behind)} above the best."
        )
    elif annealed:
        lines.append(
            "The best is the newest, and the learning rate has come to its end: "
            "to go on takes a run with more steps, whose rate falls later."
        )
    else:
        lines.append("The best is the newest: the validation loss may still be falling, and more steps help.")
    lines.append(
        "The choice was made on the validation text, so the best loss is a little optimistic: "
        "score the checkpoint on text that had no part in it."
    )
    return lines
