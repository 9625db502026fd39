"""A document of figures, written section by section: one that is measured anew replaces the old one."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.sections import GPU_SECTIONS, ROOT, SECTIONS, Section

_GOAL = re.compile(r"^- Goal: (?P<what>.*)\. Measured: (?P<measured>.*), \*\*(?P<met>.*)\*\*\.$", re.M)
_SECONDS = re.compile(r"^`.*` · .* · (?P<seconds>\d+) s$", re.M)


@dataclass(frozen=True)
class Document:
    """Where figures are written, under which head, and in which order."""

    path: Path
    head: str
    sections: tuple[Section, ...]
    limit: float | None = None
    """Seconds that all sections may take together."""


PERFORMANCE = Document(
    ROOT / "docs" / "performance.md",
    """# Performance

Written by `make bench`, which runs every command below; `make bench ARGS="limit sampling"` runs some and
replaces their sections alone. Contenders take turns (A B A B), in one process or each in its own, so that
what disturbs the machine disturbs them all: the figures to trust are the ratios. Each section says when it
was measured, on what, how busy the machine was with other things before, and how long it took. What
needs a GPU is skipped where there is none: `make gpu`, on a machine with one, measures that within 8 minutes.
""",
    SECTIONS + GPU_SECTIONS,
)


def missed(output: str) -> list[str]:
    """The goals that were not met, of what a program printed."""
    return [goal["what"] for goal in _GOAL.finditer(output) if goal["met"] != "met"]


def written(section: Section, output: str, busy: float, seconds: float) -> str:
    """A section's Markdown from what its program printed in so many seconds.

    `busy` is the share of the machine that was at work before it began.
    """
    body = f"```\n{output.strip()}\n```" if section.plain else output.strip()
    measured = f"{date.today().isoformat()} · {machine()} · {busy:.0%} busy before · {seconds:.0f} s"
    return f"`{section.command}` · {measured}\n\n{section.about}\n\n{body}\n"


def replaced(document: Document, before: str, title: str, text: str) -> str:
    """What is written with one section's text at its place; what is no section of the document's stays last.

    The head is written anew from the goals of all sections.
    """
    sections = _parts(before) | {title: f"\n{text}"}
    order = [heading for heading in _titles(document) if heading in sections]
    order += [heading for heading in sections if heading not in order]
    known = {heading: sections[heading] for heading in order}
    whole = [
        _head(document, known),
        *(f"## {heading}\n\n{body.strip()}\n" for heading, body in known.items()),
    ]
    return "\n".join(whole)


def replace(document: Document, section: Section, output: str, busy: float, seconds: float) -> None:
    """Put what a program printed into the document on disk, as a whole or not at all."""
    _put(document, {section.title: written(section, output, busy, seconds)})


def take(document: Document, other: str) -> list[str]:
    """Put the sections of another text, written elsewhere, into the document on disk. Returns their titles.

    Only those of the document are taken.
    """
    found = {title: body for title, body in _parts(other).items() if title in _titles(document)}
    _put(document, found)
    return list(found)


def _put(document: Document, sections: dict[str, str]) -> None:
    text = document.path.read_text("utf-8") if document.path.exists() else ""
    for title, body in sections.items():
        text = replaced(document, text, title, body)
    beside = document.path.with_suffix(".new")
    beside.write_text(text, "utf-8")
    beside.replace(document.path)


def _titles(document: Document) -> list[str]:
    return [section.title for section in document.sections]


def _parts(text: str) -> dict[str, str]:
    """The sections of a document, by their titles."""
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {heading: body for heading, _, body in (part.partition("\n") for part in parts)}


def _head(document: Document, sections: dict[str, str]) -> str:
    rows = _verdicts(document, document.limit, sections) if document.limit else _goals(sections)
    return "\n".join([document.head, *rows, ""]) if len(rows) > 2 else document.head


def _goals(sections: dict[str, str]) -> list[str]:
    """A table of all goals."""
    rows = [
        f"| {found['what']} | {found['measured']} | {found['met']} | [{title}](#{_anchor(title)}) |"
        for title, body in sections.items()
        for found in _GOAL.finditer(body)
    ]
    return ["| goal | measured | | |", "|---|---:|---|---|", *rows]


def _verdicts(document: Document, limit: float, sections: dict[str, str]) -> list[str]:
    """A table of what became of the goals of each section, and of the time that all of them took."""
    rows, whole = ["| | bounds kept | seconds |", "|---|---:|---:|"], 0
    alone = {section.title for section in document.sections if section.alone}
    for title, body in sections.items():
        goals, taken = list(_GOAL.finditer(body)), _SECONDS.search(body)
        if goals and taken:
            kept, seconds = sum(goal["met"] == "met" for goal in goals), int(taken["seconds"])
            told = f"{kept} of {len(goals)}" if kept == len(goals) else f"**{kept} of {len(goals)}**"
            rows.append(f"| [{title}](#{_anchor(title)}) | {told} | {seconds} |")
            whole += 0 if title in alone else seconds
    what = "all of it" + (
        f" but {' and '.join(t for t in sections if t in alone)}" if alone & set(sections) else ""
    )
    return [*rows, f"| {what}, within {limit:g} s | {'yes' if whole <= limit else '**no**'} | {whole} |"]


def _anchor(title: str) -> str:
    """As GitHub makes it from a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
