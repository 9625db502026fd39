"""A text as Markdown: prompt, text, checkpoint, settings and figures, so that it can be had again."""

from __future__ import annotations

import math
import re
from datetime import datetime

from nexus_tui.tui import format
from nexus_tui.tui.desk import Version
from nexus_tui.tui.grid_markdown import escaped
from nexus_tui.tui.text_figures import bits_per_byte
from nexus_tui.untrusted import visible


def markdown(version: Version, now: datetime) -> str:
    """The text, fenced so that nothing in it is read as Markdown; control characters are symbols."""
    prompt = version.prompt.decode(errors="replace") if isinstance(version.prompt, bytes) else version.prompt
    written = version.text.shown[version.text.head :]
    step = f"step {version.checkpoint.step:,}"
    name = f"{version.run.name}, {version.name if version.run.averaged(version.name) else step}"
    parts = [f"# {'A text scored under' if version.scored else 'A text by'} {words(name)}\n"]
    if not version.scored:
        parts += ["## Prompt\n", fenced(prompt) if prompt else "None: as after a line break.\n"]
    parts += ["## Text\n", fenced(written), "## Figures\n", _table(_figures(version))]
    parts += ["## Checkpoint\n", _table(_checkpoint(version, now))]
    if version.settings:
        parts += ["## Settings\n", _table(_settings(version))]
    if version.steps:
        parts += ["## How it came to be\n", "".join(f"1. {words(step)}\n" for step in version.steps)]
    return "\n".join(parts)


def fenced(text: str) -> str:
    """A block of text as it is, with more backticks around it than it has in a row."""
    text = visible(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}\n"


def words(text: str) -> str:
    """Words on one line in which nothing is read as Markdown; control characters are symbols."""
    return escaped(text.replace("\n", " "))


def _table(rows: list[tuple[str, str]]) -> str:
    lines = ["| | |", "|---|---|", *(f"| {words(key)} | {words(value)} |" for key, value in rows)]
    return "\n".join(lines) + "\n"


def _figures(version: Version) -> list[tuple[str, str]]:
    thoughts, figures = version.thoughts, version.source.figures
    rows = [("tokens", format.count(len(thoughts))), ("bytes", format.count(thoughts.bytes))]
    if len(thoughts):
        rows.append(("nats", f"{thoughts.nats:.4f}"))
        rows.append(("bits/byte", format.loss(bits_per_byte(version))))
    if version.scored and len(thoughts):
        perplexity = math.exp(min(thoughts.nats / len(thoughts), 700))
        rows.append(("perplexity a token", format.perplexity(perplexity)))
    if not version.scored:
        rows.append(
            ("state", version.source.state + (f": {version.source.error}" * bool(version.source.error)))
        )
        rows.append(("speed", format.speed(figures.speed)))
        rows.append(("wait for the first token", f"{figures.wait:.2f} s"))
    if novelty := version.novelty:
        start, end = novelty.span
        copied = version.written[start:end].decode(errors="replace")
        rows.append(("longest span that is in the training text too", f"{novelty.longest:,} bytes"))
        if novelty.longest:
            rows.append(("it stands there at", f"line {novelty.line:,}, byte {novelty.offset:,}: {copied}"))
        if novelty.within:
            rows.append(("of the training text was looked at", f"the first {novelty.within >> 20} MB"))
        rows.append(("word 4-grams that it had before", format.percent(novelty.repetition)))
        rows.append(("words that the training text has", format.percent(novelty.known_words)))
    return rows


def _checkpoint(version: Version, now: datetime) -> list[tuple[str, str]]:
    return [
        ("run", version.run.name),
        ("checkpoint", f"{version.name}, step {version.checkpoint.step:,}"),
        ("sha256 of the weights", version.checkpoint.sha256),
        ("written", now.strftime("%Y-%m-%d %H:%M UTC")),
    ]


def _settings(version: Version) -> list[tuple[str, str]]:
    rows = [
        (key.replace("_", " "), f"{value:.6g}" if isinstance(value, float) else str(value))
        for key, value in version.settings.items()
    ]
    return [*rows, *(("stop text", repr(text)) for text in version.stop)]
