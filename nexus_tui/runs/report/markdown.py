"""The report as Markdown, section by section. What comes from outside the program is escaped."""

import math
from typing import Any

from nexus_tui.runs.report.facts import Facts
from nexus_tui.runs.report.text import NONE, code, count, duration, escape, number, rate, table


def markdown(facts: Facts) -> str:
    """The whole report, ending in a newline."""
    title = f"# Training report: {escape(facts['run'])}"
    sections = [
        title,
        _opening(facts),
        _section("Architecture", _architecture(facts["architecture"])),
        _section("Configuration", _configuration(facts["configuration"])),
        _section("Progress", _progress(facts)),
        _section("Checkpoints", _checkpoints(facts["checkpoints"])),
        _section("Validation trend", f"```text\n{facts['trend']}\n```" if facts["trend"] else ""),
        _section("Loss progression", _progression(facts)),
        _section("Samples", _samples(facts["samples"])),
        _section("Learning rate", _learning_rate(facts["learning_rate"])),
        _section("Predictions vs actual", _predictions(facts)),
        _section("Checkpoints saved", _saved(facts)),
        _section("Notes on record", _notes(facts["notes"])),
        _section("Summary", _summary(facts["summary"])),
        _section("Recommendation", "\n".join(f"- {line}" for line in facts["recommendation"])),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _opening(facts: Facts) -> str:
    done, planned = facts["summary"]["steps"], facts["summary"]["planned_steps"]
    of = f"step {done} of {planned}" if planned else f"step {done}"
    recorded = "" if facts["kind"] == "run" else f", {escape(facts['kind'])}"
    description = f"\n\n{escape(facts['description'])}" if facts["description"] else ""
    return f"{escape(facts['state'].capitalize())} at {of}{recorded}. Losses are nats per token.{description}"


def _architecture(a: Facts) -> str:
    heads, kv = a["attention_heads"], a["key_value_heads"]
    layers = a["layers"]
    if layers and a["attention_layers"] is not None:
        layers = f"{layers} ({a['attention_layers']} attention, {a['mamba_layers']} SSM)"
    rows = [
        ("Parameters", count(a["parameters"]) if a["parameters"] else None),
        ("Hidden size (d_model)", a["hidden_size"]),
        ("Attention heads", f"{heads} (KV heads: {kv})" if heads and kv else heads),
        ("Layers", layers),
        ("Window (seq_len)", a["window"]),
        ("Vocabulary", f"{a['vocab_size']} ({a['tokenizer']})" if a["vocab_size"] else None),
    ]
    shown = [f"- **{name}**: {escape(str(value))}" for name, value in rows if value is not None]
    return "\n".join(shown)


def _configuration(tables: dict[str, dict[str, Any]]) -> str:
    rows = [
        (code(f"{name}.{key}"), code(str(value)))
        for name, content in tables.items()
        for key, value in content.items()
    ]
    return table(("Key", "Value"), rows) if rows else ""


def _progress(facts: Facts) -> str:
    rows = [
        (
            str(row["step"]),
            number(row["train_loss"]),
            number(row["train_perplexity"], 2),
            rate(row["lr"]),
            "; ".join(
                escape(note["text"]) if note["rule"] else f"“{escape(note['text'])}”" for note in row["notes"]
            ),
        )
        for row in facts["progress"]
    ]
    if not rows:
        return ""
    chart = table((">Step", ">Train loss", ">Train PPL", ">LR", "Notes"), rows)
    rules = [f"- *{name}*: {rule}" for name, rule in facts["rules"].items()]
    told = "Train loss is the mean of the last 20 steps on record. Words in “” were noted by a person;"
    told += " the other notes are computed:" if rules else " there are no computed ones."
    return "\n\n".join([chart, told, *(["\n".join(rules)] if rules else [])])


def _checkpoints(rows: list[Facts]) -> str:
    if not rows:
        return ""
    cells = [
        (
            str(row["step"]),
            number(row["train_loss"]),
            number(row["train_perplexity"], 2),
            number(row["validation_loss"]),
            number(row["validation_perplexity"], 2),
            number(row["bits_per_byte"]),
            rate(row["lr"]),
            _mark(row),
        )
        for row in rows
    ]
    head = (">Step", ">Train loss", ">Train PPL", ">Val loss", ">Val PPL", ">Bits/byte", ">LR", "Best?")
    return (
        table(head, cells)
        + "\n\n★ the true best · ≈ cannot be told from it · ☆ the best when it was evaluated"
    )


def _mark(row: Facts) -> str:
    marks = "★" if row["best"] else "≈" if row["tied"] else ""
    marks += "☆" if row["new_best"] and not row["best"] else ""
    if not row["on_line"]:
        marks = f"{marks} abandoned branch {row['branch']}".strip()
    if row["average"]:
        marks = f"{marks} {escape(row['average'])}".strip()
    return marks or NONE


def _progression(facts: Facts) -> str:
    rows = [
        row
        for row in facts["checkpoints"]
        if row["on_line"] and row["validation_loss"] is not None and not row["average"]
    ]
    if not rows:
        return ""

    def arrows(key: str, digits: int) -> str:
        return " → ".join(
            f"**{number(row[key], digits)}**" if row["best"] else number(row[key], digits) for row in rows
        )

    lines = [
        f"- **Train loss**: {arrows('train_loss', 4)}",
        f"- **Val loss**: {arrows('validation_loss', 4)}",
        f"- **Train PPL**: {arrows('train_perplexity', 2)}",
        f"- **Val PPL**: {arrows('validation_perplexity', 2)}",
    ]
    if gaps := facts["gap"]:
        last, widest = gaps[-1], max(gaps, key=lambda gap: abs(gap["gap"]))
        lines.append(
            f"- **Train–validation gap**: {last['gap']:.2f} at step {last['step']}, the newest; "
            f"widest {widest['gap']:.2f} at step {widest['step']}"
        )
    return "\n".join(lines)


def _samples(samples: list[Facts]) -> str:
    rows = [(str(s["step"]), code(s["prompt"]), code(s["text"])) for s in samples]
    return table((">Step", "Prompt", "Continuation"), rows) if rows else ""


def _learning_rate(r: Facts) -> str:
    if not r:
        return ""
    lines = []
    if r["shape"] is not None:
        warmup = "warm-up" if r["warmup"] is None else f"{r['warmup']} steps of warm-up"
        lines.append(f"- Schedule: {warmup}, then {escape(str(r['shape']))}")
    lines.append(f"- Highest on record: {rate(r['peak'])} at step {r['peak_step']}")
    annealed = " (fully annealed)" if r["annealed"] else ""
    lines.append(f"- Newest: {rate(r['last'])} at step {r['last_step']}{annealed}")
    lines += [f"- Scaled by hand to {c['scale']:g} after step {c['step']}" for c in r["changed_by_hand"]]
    if differs := r["differs"]:
        shown = ", ".join(
            f"step {d['step']} ({rate(d['recorded'])}, configured {rate(d['configured'])})"
            for d in differs[:5]
        )
        more = f" and {len(differs) - 5} more" if len(differs) > 5 else ""
        lines.append(f"- Not the configured rate: {shown}{more}")
    return "\n".join(lines)


def _predictions(facts: Facts) -> str:
    p = facts["predictions"]
    rows = [
        (
            str(row["made_at"]),
            str(row["step"]),
            number(row["predicted"]),
            number(math.exp(min(row["predicted"], 700.0)), 2),
            NONE if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}",
            number(row["actual"]),
            NONE if row["actual"] is None else number(math.exp(min(row["actual"], 700.0)), 2),
            {True: "✓ inside", False: "✗ outside", None: NONE}[row["inside"]],
            escape(row["method"]),
        )
        for row in p["rows"]
    ]
    parts = []
    if rows:
        head = (">Made at", ">Step", ">Predicted", ">PPL", "Interval", ">Actual", ">PPL", "", "Method")
        parts.append(table(head, rows))
    if p["decided"]:
        hits = ""
        if p["intervals"]:
            share = p["inside"] / p["intervals"]
            hits = f"{p['inside']} of {p['intervals']} inside ({share:.0%}; nominal {p['nominal']:.0%}); "
        parts.append(
            f"{hits}mean absolute error {number(p['error'])} over {p['decided']}, "
            f"that of the newest loss at the time {number(p['persistence_error'])}."
        )
    ahead = facts["forecast"]
    if ahead["predictions"]:
        parts.append(
            "Ahead: "
            + "; ".join(
                f"step {f['step']}: {number(f['value'])} ({number(f['low'])} to {number(f['high'])})"
                for f in ahead["predictions"]
            )
            + f", by {escape(ahead['predictions'][0]['method'])}."
        )
    elif ahead["withheld"]:
        parts.append(f"{escape(ahead['withheld'][:1].upper() + ahead['withheld'][1:])}.")
    return "\n\n".join(parts)


def _saved(facts: Facts) -> str:
    lines = []
    for row in facts["checkpoints"]:
        if row["saved"]:
            best = f" ← **true best** (validation {number(row['validation_loss'])})" if row["best"] else ""
            state = {"here": "", "elsewhere": ", weights elsewhere", "gone": ", weights gone"}[row["weights"]]
            digest = f", SHA-256 {escape(row['sha256'][:12])}…" if row["sha256"] else ""
            what = escape(row["average"]) or f"step {row['step']}"
            lines.append(f"- {code(row['checkpoint'])}: {what}{digest}{state}{best}")
    lines += [_claim(claim) for claim in facts["claims"]]
    return "\n".join(lines)


def _claim(claim: Facts) -> str:
    points = f" (step {claim['step']})" if claim["step"] is not None else ""
    cause = claim["cause"]
    why = [claim["reason"], f"{cause[:1].upper()}{cause[1:].removesuffix('.')}." if cause else ""]
    told = "".join(f" {escape(sentence[:1].upper() + sentence[1:])}" for sentence in why if sentence)
    return f"- {code(claim['name'])} claims to be the best{points}: **{claim['verdict']}**.{told}"


def _notes(notes: list[Facts]) -> str:
    return "\n".join(
        f"- Step {n['step']}: {'**fault** ' if n['kind'] == 'fault' else ''}{escape(n['text'])}"
        for n in notes
    )


def _summary(s: Facts) -> str:
    def at(value: float | None, digits: int, step: int | str | None) -> str:
        where = step if isinstance(step, str) else f"step {step}"
        return NONE if value is None else f"{number(value, digits)} ({where})"

    rate_, best_at = s["tokens_per_second"], f"step {s['best_step']}"
    if s["best_averaged"]:
        best_at = escape(s["best_checkpoint"])
    rows = [
        ("Total steps", str(s["steps"])),
        ("Total time", duration(s["seconds"]) if s["seconds"] else NONE),
        ("Tokens processed", f"{s['tokens']:,}" if s["tokens"] else NONE),
        ("Training throughput", f"{rate_:,.0f} tok/s" if rate_ else NONE),
        ("Best train loss", at(s["best_train_loss"], 4, s["best_train_step"])),
        ("Best val loss", f"**{at(s['best_loss'], 4, best_at)}**" if s["best_loss"] else NONE),
        ("Best val PPL", at(s["best_perplexity"], 2, best_at)),
        ("Final val loss", at(s["final_loss"], 4, s["final_step"])),
        ("Final val PPL", at(s["final_perplexity"], 2, s["final_step"])),
    ]
    return table(("Metric", "Value"), rows)
