"""What a report says, as plain values: everything is computed from what is on the run's record."""

import math
from typing import Any

import numpy as np

from nexus_tui.runs import averages, truth
from nexus_tui.runs import journal as j
from nexus_tui.runs import predictions as p
from nexus_tui.runs.audit import as_dict, audit
from nexus_tui.runs.fits import Floats, Ints
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.record import TRAIN_STEPS
from nexus_tui.runs.report.advice import recommendation
from nexus_tui.runs.report.notes import RULES, SHORT, observations
from nexus_tui.runs.report.trend import trend_chart
from nexus_tui.runs.run import Run
from nexus_tui.runs.schedule import learning_rate

ROWS = 40
"""Rows of the progress chart at most, about."""
ANNEALED = 0.01
"""Share of the highest rate below which the newest one has come to its end."""
SAMPLED_STEPS = 12
"""Steps whose samples are shown at most."""

Facts = dict[str, Any]


def facts(run: Run) -> Facts:
    """Everything a report says, with keys that stay: losses in nats per token, times in seconds."""
    checkpoints = _checkpoints(run)
    progress, rules = _progress(run)
    claims, learning = _claims(run), _learning_rate(run)
    return {
        "run": run.name,
        "kind": run.kind,
        "state": run.ended.reason if run.ended else run.state,
        "description": str(run.config.get("description", "")),
        "architecture": _architecture(run),
        "configuration": {
            table: content for table, content in run.config.items() if isinstance(content, dict)
        },
        "progress": progress,
        "rules": rules,
        "checkpoints": checkpoints,
        "claims": claims,
        "trend": _trend(run),
        "gap": _gap(checkpoints),
        "samples": _samples(run),
        "learning_rate": learning,
        **forecast_facts(run),
        "notes": _notes(run),
        "summary": _summary(run, progress),
        "recommendation": recommendation(checkpoints, claims, learning.get("annealed", False)),
    }


def _architecture(run: Run) -> Facts:
    layers = run.setting("model.num_hidden_layers")
    period, offset = run.setting("model.attn_layer_period"), run.setting("model.attn_layer_offset", 0)
    attention = None
    if isinstance(layers, int) and isinstance(period, int) and period > 0:
        attention = sum(layer % period == offset % period for layer in range(layers))
    return {
        "parameters": (run.started.parameters if run.started else 0) or None,
        "hidden_size": run.setting("model.hidden_size"),
        "attention_heads": run.setting("model.num_attention_heads"),
        "key_value_heads": run.setting("model.num_key_value_heads"),
        "layers": layers,
        "attention_layers": attention,
        "mamba_layers": layers - attention if attention is not None else None,
        "window": run.setting("data.window"),
        "vocab_size": run.setting("model.vocab_size"),
        "tokenizer": run.setting("data.tokenizer"),
    }


def _progress(run: Run) -> tuple[list[Facts], dict[str, str]]:
    """The rows of the progress chart, and the rules of the notes in them."""
    kept = run.canonical()
    steps, rates = run.steps["step"][kept], run.steps["lr"][kept]
    losses = run.steps["loss"][kept]
    rows = chart_rows(steps)
    means = np.array([_train_loss(steps, losses, int(steps[row])) for row in rows])
    notes = observations(run, steps[rows], means, rates[rows])
    table: list[Facts] = []
    before = -1
    for row, mean in zip(rows, means.tolist(), strict=True):
        step = int(steps[row])
        here = [note for note in notes if before < note.step <= step]
        table.append(
            {
                "step": step,
                "train_loss": finite(mean),
                "train_perplexity": _perplexity(mean),
                "lr": finite(float(rates[row])),
                "notes": [{"text": note.text, "rule": note.rule or None} for note in here],
            }
        )
        before = step
    used = {note["rule"] for row in table for note in row["notes"] if note["rule"]}
    return table, {name: rule for name, rule in RULES.items() if name in used}


def chart_rows(steps: Ints) -> list[int]:
    """Which of a run's steps, [rows], a chart shows: all of few, else the round ones and the last."""
    if len(steps) <= ROWS:
        return list(range(len(steps)))
    apart = max(1, int(steps[-1]) / ROWS)
    scale = 10.0 ** math.floor(math.log10(apart))
    every = next(int(scale * m) for m in (1, 2, 5, 10) if scale * m >= apart)
    rows = np.flatnonzero(steps % every == 0).tolist()
    return rows if rows and rows[-1] == len(steps) - 1 else [*rows, len(steps) - 1]


def _train_loss(steps: Ints, losses: Floats, step: int) -> float:
    """Mean over the newest TRAIN_STEPS steps up to one."""
    near = losses[(steps <= step) & (steps > step - TRAIN_STEPS)]
    return float(near.mean()) if len(near) else math.nan


def _checkpoints(run: Run) -> list[Facts]:
    """Every checkpoint saved or evaluated, by branch and step."""
    ranked = {row.evaluation.name: row for row in truth.ranking(run)}
    evaluated = {evaluation.name: evaluation for evaluation in run.evaluations}
    saved = {name: (run.branch_of(name), event.step) for name, event in run.saved.items()}
    places = {name: (e.branch, e.step) for name, e in evaluated.items()} | saved
    lowest, table = math.inf, []
    for name, (branch, step) in sorted(places.items(), key=lambda item: (item[1], run.averaged(item[0]))):
        on = run.steps["branch"] == branch
        steps, losses, rates = (run.steps[column][on] for column in ("step", "loss", "lr"))
        evaluation, place = evaluated.get(name), ranked.get(name)
        loss = evaluation.loss if evaluation else math.nan
        averaged = run.averaged(name)
        train = math.nan if averaged else _train_loss(steps, losses, step)
        here = np.flatnonzero((steps == step) & (not averaged))
        table.append(
            {
                "checkpoint": name,
                "step": step,
                "branch": branch,
                "on_line": run.on_line(branch, step),
                "train_loss": finite(train),
                "train_perplexity": _perplexity(train),
                "validation_loss": finite(loss),
                "validation_perplexity": _perplexity(loss),
                "bits_per_byte": finite(evaluation.bits_per_byte) if evaluation else None,
                "lr": finite(float(rates[here[-1]])) if len(here) else None,
                "best": bool(place and place.best),
                "tied": place.tied if place else None,
                "new_best": loss < lowest and not averaged,
                "saved": name in run.saved,
                "weights": run.weights(name),
                "sha256": run.saved[name].sha256 or None if name in run.saved else None,
                "average": averages.words(run.saved[name], run.name) if averaged else "",
                "parents": list(run.parents(name)),
            }
        )
        lowest = min(lowest, loss) if math.isfinite(loss) and not averaged else lowest
    return table


def _claims(run: Run) -> list[Facts]:
    """Every name that claims to be the best, with the audit's verdict, as `audit --json` has it."""
    found: list[Facts] = as_dict(audit(run))["claims"]
    return found


def _trend(run: Run) -> str:
    evaluations = p.on_line(run)
    best = truth.best(run)
    return trend_chart(
        np.array([e.step for e in evaluations], np.int64),
        np.array([e.loss for e in evaluations], np.float64),
        best.evaluation.step if best and not best.evaluation.averaged else None,
    )


def _gap(checkpoints: list[Facts]) -> list[Facts]:
    """Validation loss less training loss, wherever both are on record on the line to the newest weights."""
    return [
        {"step": row["step"], "gap": row["validation_loss"] - row["train_loss"]}
        for row in checkpoints
        if row["on_line"] and row["validation_loss"] is not None and row["train_loss"] is not None
    ]


def _samples(run: Run) -> list[Facts]:
    """What the run wrote, of at most SAMPLED_STEPS steps spread over it."""
    steps = sorted({sample.step for sample in run.samples})
    if len(steps) > SAMPLED_STEPS:
        places = np.linspace(0, len(steps) - 1, SAMPLED_STEPS).round().astype(int)
        steps = [steps[place] for place in places]
    return [
        {"step": sample.step, "prompt": sample.prompt, "text": sample.text}
        for sample in sorted(run.samples, key=lambda sample: sample.step)
        if sample.step in steps
    ]


def _learning_rate(run: Run) -> Facts:
    kept = run.canonical()
    kept = kept & np.isfinite(run.steps["lr"])
    steps, rates = run.steps["step"][kept], run.steps["lr"][kept]
    if not len(steps):
        return {}
    peak = int(np.argmax(rates))
    return {
        "configured": run.setting("optimizer.lr"),
        "warmup": run.setting("schedule.warmup"),
        "shape": run.setting("schedule.shape"),
        "peak": float(rates[peak]),
        "peak_step": int(steps[peak]),
        "last": float(rates[-1]),
        "last_step": int(steps[-1]),
        "annealed": bool(rates[-1] < ANNEALED * rates[peak]),
        "differs": _differing_rates(run, steps, rates),
        "changed_by_hand": [
            {"step": event.step, "scale": event.value}
            for event in run.log
            if isinstance(event, j.ControlledEvent) and event.act == "rate_scale" and event.value is not None
        ],
    }


def _differing_rates(run: Run, steps: Ints, rates: Floats) -> list[Facts]:
    """Where the rate on record and the configured one differ in three digits."""
    peak, warmup = run.setting("optimizer.lr"), run.setting("schedule.warmup")
    shape, total = run.setting("schedule.shape"), run.total_steps
    if not (isinstance(peak, float) and isinstance(warmup, int) and isinstance(shape, str) and total):
        return []
    planned = [learning_rate(s, peak=peak, warmup=warmup, total=total, shape=shape) for s in steps.tolist()]
    return [
        {"step": step, "recorded": recorded, "configured": configured}
        for step, recorded, configured in zip(steps.tolist(), rates.tolist(), planned, strict=True)
        if f"{recorded:.2e}" != f"{configured:.2e}"
    ]


def forecast_facts(run: Run) -> Facts:
    """Predictions on record against what came, and the current forecast: what `forecast --json` prints."""
    return {"predictions": _predictions(run), "forecast": _forecast(run)}


def _predictions(run: Run) -> Facts:
    rows = p.judged(run)
    score = p.score(rows)
    return {
        "rows": [
            {
                "made_at": row.event.step,
                "step": row.event.target,
                "predicted": row.event.value,
                "low": row.event.low,
                "high": row.event.high,
                "method": row.event.method,
                "basis": row.event.basis,
                "actual": row.actual,
                "inside": row.inside,
            }
            for row in rows
        ],
        "decided": score.decided,
        "intervals": score.intervals,
        "inside": score.hits,
        "nominal": score.nominal,
        "error": finite(score.error),
        "persistence_error": finite(score.persistence),
    }


def _forecast(run: Run) -> Facts:
    made = p.predict(run)
    return {
        "withheld": made.withheld,
        "predictions": [
            {
                "step": f.step,
                "value": f.value,
                "low": f.low,
                "high": f.high,
                "method": f.method,
                "data": f.data,
            }
            for f in made.predictions
        ],
    }


def _notes(run: Run) -> list[Facts]:
    """What people wrote, as far as the progress chart does not show it, and what went wrong."""
    found = []
    for event in run.log:
        if isinstance(event, j.NotedEvent) and (not event.step or len(event.text) > SHORT):
            found.append({"step": event.step, "text": event.text, "kind": "note"})
        elif isinstance(event, j.FaultedEvent):
            found.append({"step": event.step, "text": event.message, "kind": "fault"})
        elif isinstance(event, j.DivergedEvent):
            found.append({"step": event.step, "text": f"not trained: {event.cause}", "kind": "fault"})
        elif isinstance(event, j.SpikedEvent):
            said = f"the loss jumped to {event.loss:.4f}; the median before it was {event.median:.4f}"
            found.append({"step": event.step, "text": said, "kind": "fault"})
    return found


def _summary(run: Run, progress: list[Facts]) -> Facts:
    best = truth.best(run)
    line = p.on_line(run)
    trained = [row for row in progress if row["train_loss"] is not None]
    lowest = min(trained, key=lambda row: row["train_loss"], default=None)
    seconds, tokens = _seconds(run), _tokens(run)
    return {
        "steps": run.step,
        "planned_steps": run.total_steps or None,
        "seconds": seconds or None,
        "tokens": tokens or None,
        "tokens_per_second": tokens / seconds if seconds and tokens else None,
        "best_train_loss": lowest["train_loss"] if lowest else None,
        "best_train_step": lowest["step"] if lowest else None,
        "best_loss": best.evaluation.loss if best else None,
        "best_perplexity": _perplexity(best.evaluation.loss) if best else None,
        "best_step": best.evaluation.step if best else None,
        "best_checkpoint": best.evaluation.name if best else None,
        "best_averaged": bool(best and best.evaluation.averaged),
        "final_loss": line[-1].loss if line else None,
        "final_perplexity": _perplexity(line[-1].loss) if line else None,
        "final_step": line[-1].step if line else None,
    }


def _seconds(run: Run) -> float:
    """Time in processes that trained it, first event to last of each, evaluations and pauses included."""
    starts = [e.time.timestamp() for e in run.log if isinstance(e, j.DeviceEvent)]
    times = [
        e.time.timestamp() for e in run.log if not isinstance(e, j.UnknownEvent) and not _of_average(run, e)
    ]
    every = np.sort(np.concatenate([np.array(times), run.steps["time"]]))
    if not len(every):
        return 0.0
    starts = starts or [float(every[0])]
    ends = [*starts[1:], math.inf]
    spans = [every[(every >= start) & (every < end)] for start, end in zip(starts, ends, strict=True)]
    return float(sum(span[-1] - span[0] for span in spans if len(span)))


def _of_average(run: Run, event: j.Event) -> bool:
    """Whether an event is of an average, which may be made long after a process that trained has ended."""
    return isinstance(event, j.SavedEvent | j.EvaluatedEvent) and run.averaged(event.checkpoint)


def _tokens(run: Run) -> int:
    """Tokens trained on over all branches, abandoned stretches included."""
    per_step = int(run.setting("budget.batch", 0)) * int(run.setting("data.window", 0))
    total = 0
    for branch in run.branches:
        steps = run.steps["step"][run.steps["branch"] == branch.index]
        total += max(0, int(steps[-1]) - branch.start) if len(steps) else 0
    return total * per_step


def _perplexity(loss: float) -> float | None:
    return math.exp(min(loss, 700.0)) if math.isfinite(loss) else None
