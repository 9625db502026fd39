"""The model card of a checkpoint: what is on record of it, in the form that model hubs read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus_tui import __version__
from nexus_tui.config import ConfigError, RunConfig
from nexus_tui.lm.config import JambaConfig
from nexus_tui.runs import truth
from nexus_tui.runs.subject import Subject
from nexus_tui.untrusted import visible

CARD = "README.md"


@dataclass(frozen=True)
class Rounded:
    """The weights as they are exported, where that is not as they were trained."""

    dtype: str
    loss: float = math.nan
    """Over the same validation windows, nats per token; NaN if it could not be computed."""
    bits_per_byte: float = math.nan
    why: str = ""
    """Why there is no loss."""


def card(
    subject: Subject,
    model: JambaConfig,
    rounded: Rounded | None = None,
    kept: str = "float32",
    written: str = "",
) -> str:
    """The card's Markdown: every figure is from the record, or was computed for it.

    `kept` is what the weights of the checkpoint are kept as, `written` what they are exported as.
    """
    parts = [
        _front(model),
        f"# {_plain(subject.label)}\n\n{_first_words(subject, model)}",
        _table([*_facts(subject, model), ("weights", _weights(subject, rounded, kept, written))]),
        f"## How it was chosen\n\n{_choice(subject)}",
        f"## Use\n\n{_USE}",
        f"## Limits\n\n{_limits(subject)}",
    ]
    if recipe := _recipe(subject.run.config):
        parts.append(f"## Recipe\n\nnexus-tui's `run.toml`:\n\n{recipe}")
    return "\n\n".join(parts) + "\n"


_USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("DIR")
model = AutoModelForCausalLM.from_pretrained("DIR")
ids = tokenizer("To be", return_tensors="pt").input_ids
print(tokenizer.decode(model.generate(ids, max_new_tokens=100)[0]))
```

`nexus-tui import DIR` makes a run of it again: to sample, score, compare and train on."""


def _front(model: JambaConfig) -> str:
    """The metadata that hubs read."""
    tags = ["jamba", "mamba", "state-space-model", "nexus-tui", *(["byte-level"] if _bytes(model) else [])]
    lines = ["library_name: transformers", "pipeline_tag: text-generation", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---"])


def _first_words(subject: Subject, model: JambaConfig) -> str:
    kinds, started = model.layer_kinds, subject.run.started
    attention = kinds.count("attention")
    origin = _plain(str(subject.run.config.get("description", "")))
    text = _corpus(subject) or "a text that is not on record"
    if subject.parents:
        made = f"an {subject.lineage} of a training on {text}"
    elif subject.step:
        made = f"step {subject.step:,} of a training on {text}"
    else:
        made = f"{origin or 'untrained'}, and not trained since"
    return (
        f"A language model over {'bytes' if _bytes(model) else 'byte-level BPE'}: {made}. A "
        f"Jamba-type hybrid with one expert a layer: {len(kinds)} layers of {model.hidden_size} channels, "
        f"{attention} of them attention, {len(kinds) - attention} selective state-space."
        f" By nexus-tui {(started.version if started else '') or __version__}."
    )


def _facts(subject: Subject, model: JambaConfig) -> list[tuple[str, str]]:
    run, evaluation = subject.run, subject.evaluation
    started = run.started
    facts = [("parameters", f"{started.parameters:,}" if started and started.parameters else "")]
    facts += [
        ("vocabulary", "256 bytes" if _bytes(model) else f"{model.vocab_size:,} pieces of byte-level BPE")
    ]
    facts += [("context in training", _counted(run.setting("data.window"), "tokens"))]
    if started:
        sha256 = f", SHA-256 of the text {started.corpus_sha256}" if started.corpus_sha256 else ""
        facts += [("text", f"{_corpus(subject)}{sha256}")]
        facts += [("its training part", _counted(started.train_tokens, "tokens"))]
    facts += [("trained on", _counted(subject.tokens, "tokens")), ("steps", subject.lineage)]
    facts += [("training loss", _number(subject.train_loss, "nats per token, mean of the last 20 steps"))]
    error = f" ± {subject.stderr:.4f}" if math.isfinite(subject.stderr) else ""
    if math.isfinite(subject.loss):
        facts += [("validation loss", f"{subject.loss:.4f}{error} nats per token")]
    facts += [("perplexity", _number(subject.perplexity)), ("bits per byte", _number(subject.bits_per_byte))]
    if evaluation and evaluation.event.windows:
        length = run.setting("data.window")
        whole = f"{evaluation.event.windows:,} windows of {length}, the whole validation part"
        facts += [("measured on", f"{whole}; protocol {evaluation.event.protocol}")]
    for held in run.heldout:
        if held.checkpoint == subject.name and held.loss is not None:
            bits = f", {held.bits_per_byte:.4f} bits per byte" if held.bits_per_byte else ""
            facts += [("on held-out text", f"{held.loss:.4f} nats per token{bits}; scored once")]
    return [(name, value) for name, value in facts if value]


def _weights(subject: Subject, rounded: Rounded | None, kept: str, written: str) -> str:
    was = "trained" if kept == "float32" else "kept"
    trained = f"SHA-256 of the file as {was} {subject.sha256}" if subject.sha256 else ""
    if rounded is None:
        same = f"{kept}, as {was}" if written in ("", kept) else f"{written}, the {kept} that is kept exactly"
        return "; ".join(part for part in (same, trained) if part)
    if rounded.why:
        measured = f"what that costs was not measured: {rounded.why}"
    else:
        measured = (
            f"so rounded, {rounded.loss:.4f} nats per token and {rounded.bits_per_byte:.4f} bits per byte "
            f"over the same windows; the other figures are those of {kept}"
        )
    return "; ".join(part for part in (f"{rounded.dtype}, rounded from {kept}", measured, trained) if part)


def _choice(subject: Subject) -> str:
    """How this checkpoint came to be the one: the record's ranking, or somebody's wish."""
    ranking = truth.ranking(subject.run)
    own = next((ranked for ranked in ranking if ranked.evaluation.name == subject.name), None)
    best = next((ranked for ranked in ranking if ranked.best), None)
    if own is None or best is None:
        return "It was never evaluated beside others; somebody named it."
    lowest = (
        f"{len(ranking)} evaluated checkpoints of this run" if len(ranking) > 1 else "one that was evaluated"
    )
    if own.best:
        ties = [ranked.evaluation.title for ranked in ranking if ranked.tied]
        apart = f"A paired test over windows cannot tell it from {', '.join(ties)}." if ties else ""
        return (
            f"It has the lowest validation loss of the {lowest}, over every branch of the training. The loss "
            f"above chose it, so it is a little better than a new text would say. {_plain(apart)}"
        ).rstrip()
    tied = "; a paired test over windows cannot tell the two apart" if own.tied else ""
    return (
        f"Somebody named it. The lowest validation loss of the {lowest} has {_plain(best.evaluation.title)}, "
        f"{best.evaluation.loss:.4f} nats per token: {own.delta:.4f} less{tied}."
    )


def _limits(subject: Subject) -> str:
    window = subject.run.setting("data.window")
    context = (
        f" It was trained on windows of {window} tokens; what lies further back it uses at its own risk."
    )
    return (
        f"A small model of one text ({_corpus(subject) or 'not on record'}): it continues text in that "
        "manner, knows nothing else, and what it states is not true but likely. It may repeat passages of "
        f"its training text word for word.{context if window else ''} Losses compare only on the same "
        "windows of the same text; across tokenizers only bits per byte do."
    )


def _recipe(config: dict[str, dict[str, Any]]) -> str:
    """run.toml without the folders of the machine it was written on; empty if there is none to be read."""
    try:
        read = RunConfig.check(config, "run.toml")
    except ConfigError:
        return ""
    data = read.data.model_copy(update={"corpus": Path(read.data.corpus).name})
    return f"```toml\n{visible(read.model_copy(update={'data': data}).to_toml())}```"


def _corpus(subject: Subject) -> str:
    return _plain(Path(str(subject.run.setting("data.corpus", ""))).name)


def _bytes(model: JambaConfig) -> bool:
    return model.vocab_size == 256


def _counted(count: Any, what: str) -> str:
    return f"{count:,} {what}" if isinstance(count, int) and count else ""


def _number(value: float, unit: str = "") -> str:
    return f"{value:.4f} {unit}".rstrip() if math.isfinite(value) else ""


def _plain(text: str) -> str:
    """Somebody's words inside a line of Markdown: no line break, and nothing that divides cells."""
    return visible(" ".join(text.split())).replace("|", "¦")


def _table(facts: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(value)} |" for name, value in facts)])
