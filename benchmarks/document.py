"""docs/performance.md, written section by section: a section that is measured anew replaces the old one."""

import re
from datetime import date
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.sections import SECTIONS, Section

HEAD = """# Performance

Written by `make bench`, which runs every command below; `make bench ARGS="limit sampling"` runs some and
replaces their sections alone. Contenders take turns (A B A B), in one process or each in its own, so that
what disturbs the machine disturbs them all: the figures to trust are the ratios. Each section says when it
was measured, on what, and how busy the machine was with other things before.
"""
_GOAL = re.compile(r"^- Goal: (?P<what>.*)\. Measured: (?P<measured>.*), \*\*(?P<met>.*)\*\*\.$", re.M)


def written(section: Section, output: str, busy: float) -> str:
    """A section's Markdown from what its benchmark printed; `busy` is the machine's share before it began."""
    body = f"```\n{output.strip()}\n```" if section.plain else output.strip()
    measured = f"{date.today().isoformat()} · {machine()} · {busy:.0%} busy before"
    return f"`{section.command}` · {measured}\n\n{section.about}\n\n{body}\n"


def replaced(document: str, title: str, text: str) -> str:
    """The document with one section's text, at its place in SECTIONS; what is no section of ours stays last.

    The head is written anew from the goals of all sections.
    """
    _, *parts = re.split(r"^## ", document, flags=re.MULTILINE)
    sections = {heading: body for heading, _, body in (part.partition("\n") for part in parts)}
    sections[title] = f"\n{text}"
    order = [section.title for section in SECTIONS if section.title in sections]
    order += [heading for heading in sections if heading not in order]
    known = {heading: sections[heading] for heading in order}
    whole = [_head(known), *(f"## {heading}\n\n{body.strip()}\n" for heading, body in known.items())]
    return "\n".join(whole)


def replace(path: Path, section: Section, output: str, busy: float) -> None:
    """Put what a benchmark printed into the document on disk, as a whole or not at all."""
    before = path.read_text("utf-8") if path.exists() else ""
    beside = path.with_suffix(".new")
    beside.write_text(replaced(before, section.title, written(section, output, busy)), "utf-8")
    beside.replace(path)


def _head(sections: dict[str, str]) -> str:
    rows = [
        f"| {found['what']} | {found['measured']} | {found['met']} | [{title}](#{_anchor(title)}) |"
        for title, body in sections.items()
        for found in _GOAL.finditer(body)
    ]
    if not rows:
        return HEAD
    return "\n".join([HEAD, "| goal | measured | | |", "|---|---:|---|---|", *rows, ""])


def _anchor(title: str) -> str:
    """As GitHub makes it from a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
