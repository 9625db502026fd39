"""What `compare --deep` prints of the loss: where it lives, by position, class, token and window."""

import math
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from nexus_tui.analysis.breakdown import (
    CLASSES,
    WindowDifference,
    by_class,
    by_position,
    by_token,
    most_different,
    window_text,
)
from nexus_tui.console import printer
from nexus_tui.console_compare import LETTERS, table
from nexus_tui.runs.comparison import Comparison
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.untrusted import visible

WINDOWS, TOKENS = 5, 8
"""How many windows are named each way, and how many tokens of the vocabulary."""
_WIDTH, _HEIGHT = 76, 14
_plotext = threading.Lock()  # it draws on one figure per process

Scored = list[tuple[str, TokenLosses]]
"""Letters, and what their checkpoints lose."""


def groups(found: Comparison) -> list[Scored]:
    """The measured checkpoints, those of one protocol together: tokens compare with the same tokens alone."""
    alike: dict[str, Scored] = {}
    for letter, subject in zip(LETTERS, found.subjects, strict=False):
        if subject.measured:
            alike.setdefault(subject.measured.protocol, []).append((letter, subject.measured))
    return list(alike.values())


def print_losses(found: Comparison) -> None:
    """By position with a chart, by class, by token; then the windows in which the first two differ most."""
    for scored in groups(found):
        _print_positions(scored)
        _print_classes(scored)
        _print_tokens(scored)
        if len(scored) > 1:
            _print_windows(scored[0], scored[1])


def as_dict(found: Comparison) -> dict[str, Any]:
    """The same as `compare --deep --json` prints it, by label: nats, of each checkpoint's own tokens."""
    labels = dict(zip(LETTERS, (subject.label for subject in found.subjects), strict=False))
    scored = [(labels[letter], t) for group in groups(found) for letter, t in group]
    return {
        "positions": {
            label: {"mean": _plain(by_position(t).mean), "stderr": _plain(by_position(t).stderr)}
            for label, t in scored
        },
        "classes": {
            label: [
                {
                    "class": row.name, "count": row.count, "share": row.share, "loss": finite(row.loss),
                    "contribution": finite(row.contribution),
                }
                for row in by_class(t)
            ]
            for label, t in scored
        },
        "tokens": {
            label: [
                {
                    "token": row.token.decode(errors="backslashreplace"), "id": row.id, "count": row.count,
                    "share": row.share, "loss": finite(row.loss), "contribution": finite(row.contribution),
                }
                for row in by_token(t)
            ]
            for label, t in scored
        },
        "windows": [
            _window_row(labels, group[0], group[1], row)
            for group in groups(found)
            if len(group) > 1
            for row in most_different(group[0][1], group[1][1], WINDOWS)
        ],
    }  # fmt: skip


def _window_row(
    labels: dict[str, str], a: tuple[str, TokenLosses], b: tuple[str, TokenLosses], row: WindowDifference
) -> dict[str, Any]:
    pairs = zip(window_text(a[1], row.window), window_text(b[1], row.window), strict=True)
    return {
        "a": labels[a[0]],
        "b": labels[b[0]],
        "window": row.window,
        "difference": finite(row.difference),
        "loss_a": finite(row.loss_a),
        "loss_b": finite(row.loss_b),
        "tokens": [
            {"token": token.decode(errors="backslashreplace"), "a": finite(of_a), "b": finite(of_b)}
            for (token, of_a), (_, of_b) in pairs
        ],
    }


def _print_positions(scored: Scored) -> None:
    """The loss by how much context there is: stretches that double, as a table and as a chart."""
    out = printer()
    edges = [0]
    while edges[-1] < scored[0][1].losses.shape[1]:
        edges.append(min(max(1, 2 * edges[-1]), scored[0][1].losses.shape[1]))
    means = [by_position(t).mean for _, t in scored]
    made = table(">tokens of context", *(f">{letter}" for letter, _ in scored))
    rows = []
    for start, end in pairwise(edges):
        rows.append([float(mean[start:end].mean()) for mean in means])
        name = f"{start + 1}" if end == start + 1 else f"{start + 1}–{end}"
        made.add_row(name, *(f"{value:.4f}" for value in rows[-1]))
    _title("where the loss lives, by position in the window (nats/token)")
    out.print(made)
    if len(rows) > 2:
        names = [str(end) for end in edges[1:]]
        out.print(Text(_chart([letter for letter, _ in scored], rows, names)), soft_wrap=True)


def _chart(letters: list[str], rows: list[list[float]], names: list[str]) -> str:
    """Loss over positions, each checkpoint as its letter; the last drawn is on top."""
    import plotext as plt  # slow to import, and needed here alone

    at = list(range(len(rows)))
    with _plotext:
        plt.clear_figure()
        plt.theme("clear")
        plt.plot_size(_WIDTH, _HEIGHT)
        for place, letter in enumerate(letters):
            values = [row[place] for row in rows]
            if all(math.isfinite(value) for value in values):
                plt.plot(at, values, marker="·")
                plt.scatter(at, values, marker=letter)
        plt.xticks(at, names)
        plt.xlabel("tokens of context, up to")
        text = plt.uncolorize(plt.build())
        plt.clear_figure()
    return "\n".join(line.rstrip() for line in str(text).splitlines())


def _print_classes(scored: Scored) -> None:
    """Loss by class; of two checkpoints also how much of their difference is each class's."""
    _title("by class of character (nats/token; share of all targets)")
    by_name = [{row.name: row for row in by_class(t)} for _, t in scored]
    two = len(scored) == 2
    made = table("class", ">share", *(f">{letter}" for letter, _ in scored), *([">of B − A"] if two else ()))
    if two:
        made.columns[-1].header = f"of {scored[1][0]} − {scored[0][0]}"
    for name in sorted(by_name[0], key=lambda name: (-by_name[0][name].contribution, CLASSES.index(name))):
        rows = [each[name] for each in by_name]
        part = [f"{rows[1].contribution - rows[0].contribution:+.4f}"] if two else []
        made.add_row(name, f"{rows[0].share:.1%}", *(f"{row.loss:.4f}" for row in rows), *part)
    printer().print(made)


def _print_tokens(scored: Scored) -> None:
    """The tokens that cost the first checkpoint most in all."""
    first = by_token(scored[0][1], TOKENS)
    _title(f"the {len(first)} tokens that cost {scored[0][0]} most in all (nats/token)")
    others = [{row.id: row for row in by_token(t, len(t.token_bytes))} for _, t in scored]
    made = table("token", ">share", *(f">{letter}" for letter, _ in scored))
    for row in first:
        made.add_row(_word(row.token), f"{row.share:.1%}", *(f"{each[row.id].loss:.4f}" for each in others))
    printer().print(made)


def _print_windows(a: tuple[str, TokenLosses], b: tuple[str, TokenLosses]) -> None:
    """The windows that differ most: the text, and under each token both losses."""
    out = printer()
    rows = most_different(a[1], b[1], WINDOWS)
    if not rows:
        return
    _title(f"the windows in which {a[0]} and {b[0]} differ most (nats/token)")
    made = table(">window", "better", ">by", f">{a[0]}", f">{b[0]}", "text")
    for row in rows:
        better = b[0] if row.difference < 0 else a[0]
        text = "".join(_word(token) for token, _ in window_text(a[1], row.window)).replace("␣", " ")
        losses = (f"{value:.4f}" for value in (abs(row.difference), row.loss_a, row.loss_b))
        made.add_row(str(row.window), better, *losses, text[:36])
    out.print(made)
    firsts = [next((r for r in rows if (r.difference < 0) == lower), None) for lower in (True, False)]
    for each in filter(None, firsts):
        _title(f"window {each.window}, nats of each token")
        of_a, of_b = window_text(a[1], each.window), window_text(b[1], each.window)
        for line in _token_lines((a[0], of_a), (b[0], of_b)):
            out.print(line, soft_wrap=True)


def _token_lines(
    a: tuple[str, Sequence[tuple[bytes, float]]], b: tuple[str, Sequence[tuple[bytes, float]]]
) -> list[Text]:
    """Three lines for as many tokens as fit: the tokens, and what each costs both; coloured a nat apart."""
    lines: list[Text] = []
    group: list[Text] = []
    for (token, of_a), (_, of_b) in zip(a[1], b[1], strict=True):
        word = _word(token)
        width = max(5, cell_len(word) + 1)
        if not group or group[0].cell_len + width > _WIDTH:
            group = [Text("  "), Text(f"{a[0]} ", "dim"), Text(f"{b[0]} ", "dim")]
            lines += group
        style = "green" if of_b < of_a - 1 else "red" if of_b > of_a + 1 else ""
        group[0].append(" " * (width - cell_len(word)) + word, "bold")
        group[1].append(f"{of_a:{width}.1f}", "")
        group[2].append(f"{of_b:{width}.1f}", style)
    return lines


def _word(token: bytes) -> str:
    """A token on one line: spaces and line breaks by their signs, half characters as bytes."""
    text = visible(token.decode(errors="backslashreplace"))
    return text.replace(" ", "␣").replace("\n", "↵")


def _title(text: str) -> None:
    printer().print(Text(f"\n{text}", "bold"), soft_wrap=True)


def _plain(values: Any) -> list[float | None]:
    return [finite(value) for value in values.tolist()]
