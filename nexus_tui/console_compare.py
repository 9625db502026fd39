"""What `compare` prints: checkpoints side by side, every pair's verdict, what was configured otherwise."""

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from nexus_tui.console import printer
from nexus_tui.runs.comparison import CONFIDENCE, WIDER, Comparison, Pair, Subject
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import RunError
from nexus_tui.tui import format
from nexus_tui.untrusted import visible

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average

LETTERS = "ABCDEFGH"
_STYLES = {"better": "green", "worse": "red", "same": "dim", "undecided": "", "incomparable": "yellow"}
_WEIGHTS = {"here": "", "elsewhere": "weights not here", "gone": "weights gone"}


def measured(subjects: list[Subject]) -> list[Subject]:
    """Those whose weights are here with the loss of every token. Raises RunError if none's are."""
    from nexus_tui.analysis.token_losses import measured as measure

    if not any(subject.checkpoint for subject in subjects):
        raise RunError("none of these has its weights here, so only their records compare: leave out --deep.")
    return [measure(each, progress(each.label)) if each.checkpoint else each for each in subjects]


def averaged(subjects: list[Subject], method: str, decay: float, save: str) -> "tuple[Average | None, str]":
    """The average that was asked for, scored, and the name of the checkpoint if it was saved as one."""
    if not method:
        if save:
            raise RunError("--save keeps an average: say which with --average uniform or --average ema.")
        return None, ""
    if method not in ("uniform", "ema"):
        raise RunError(f"there is no average {method}; there are uniform and ema.")
    from nexus_tui.analysis.average import average, save_average

    made = average(subjects, "ema" if method == "ema" else "uniform", decay, progress("average"))
    if not save:
        return made, ""
    run = max(made.subjects, key=lambda subject: subject.step).run
    return made, f"{run.name}:{save_average(run, made, save).name}"


def as_dict(found: Comparison, deep: bool, average: "Average | None", saved: str) -> dict[str, Any]:
    """As `compare --json` prints it; `deep` and `average` only where they were asked for."""
    told = found.as_dict()
    if deep:
        from nexus_tui import console_deep, console_inside

        moved, seen = console_inside.moved(found), console_inside.looked(found)
        told["deep"] = console_deep.as_dict(found) | console_inside.as_dict(found, moved, seen)
    if average:
        told["average"] = average_row(average, saved)
    return told


def print_comparison(found: Comparison) -> None:
    """Checkpoints as columns, each with its letter; pairs as rows; then the settings that differ."""
    out = printer()
    for place, subject in enumerate(found.subjects):
        out.print(_legend(LETTERS[place], subject), soft_wrap=True)
    out.print()
    out.print(_facts(found))
    if not found.one_protocol:
        note = "validation, gap and perplexity are of each one's own windows and tokens: they do not compare"
        out.print(Text(note, "dim"), soft_wrap=True)
    out.print()
    _print_pairs(found.pairs, [*LETTERS[: len(found.subjects)]])
    if len(found.subjects) > 2 and found.unbeaten:
        kept = ", ".join(LETTERS[place] for place in found.unbeaten)
        out.print(f"no other is better than {kept}")
    if found.config:
        out.print()
        out.print(_settings(found))


def print_deep(found: Comparison) -> None:
    """Where the loss lives, what moved, what happens inside."""
    from nexus_tui import console_deep, console_inside

    moved, seen = console_inside.moved(found), console_inside.looked(found)
    console_deep.print_losses(found)
    console_inside.print_inside(moved, seen)


def print_average(average: "Average", saved: str) -> None:
    """An average as a contender: its loss, and the verdict against each of its parents."""
    out = printer()
    out.print()
    text = (
        f"{average.label}: loss {format.loss(average.loss)} ± {format.loss(average.stderr)} nats/token, "
        f"{format.loss(average.bits_per_byte)} bits/byte"
    )
    out.print(Text(visible(text), "bold"), soft_wrap=True)
    _print_pairs(average.pairs, [*LETTERS[: len(average.subjects)], "average"])
    if saved:
        out.print(Text(visible(f"saved as {saved}")), soft_wrap=True)


def average_row(average: "Average", saved: str) -> dict[str, Any]:
    """An average as `compare --json` prints it; losses in nats per token."""
    return {
        "method": average.method,
        "shares": list(average.shares),
        "parents": list(average.parents),
        "validation_loss": finite(average.loss),
        "stderr": finite(average.stderr),
        "perplexity": finite(average.perplexity),
        "bits_per_byte": finite(average.bits_per_byte),
        "protocol": average.protocol,
        "pairs": [
            {
                "a": average.subjects[pair.a].label,
                "verdict": pair.verdict,
                "difference": finite(pair.mean),
                "low": finite(pair.low),
                "high": finite(pair.high),
                "windows": pair.windows,
                "blocks": pair.blocks,
            }
            for pair in average.pairs
        ],
        "saved": saved or None,
    }


def progress(of: str) -> Callable[[int, int], None]:
    """Tells on a terminal's standard error how much of something is done."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            text = f"{visible(of)}: {done:,} of {total:,} windows"
            end = f"\r{' ' * len(text)}\r" if done >= total else ""
            print(f"\r{text}{end}", end="", file=sys.stderr, flush=True)

    return tell


def table(*columns: str) -> Table:
    """A table without lines; a column whose name begins with `>` is set to the right."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        justify = "right" if column.startswith(">") else "left"
        made.add_column(column.removeprefix(">"), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return made


def _legend(letter: str, subject: Subject) -> Text:
    line = Text(f"{letter}  ", "bold")
    line.append(visible(subject.label), "")
    remarks = filter(None, (subject.lineage, _WEIGHTS[subject.run.weights(subject.name)]))
    line.append(visible("   " + ", ".join(remarks)), "dim")
    return line


def _facts(found: Comparison) -> Table:
    rows: list[tuple[str, Callable[[Subject], str]]] = [
        ("step", lambda s: f"{s.step:,}"),
        ("tokens", lambda s: format.short(s.tokens)),
        ("train", lambda s: format.loss(s.train_loss)),
        ("validation", lambda s: format.loss(s.loss)),
        ("± se", lambda s: format.loss(s.stderr)),
        ("gap", lambda s: format.delta(s.gap)),
        ("perplexity", lambda s: format.perplexity(s.perplexity)),
        ("bits/byte", lambda s: format.loss(s.bits_per_byte)),
        ("size", lambda s: format.size(s.bytes)),
    ]
    made = table("", *(f">{letter}" for letter in LETTERS[: len(found.subjects)]))
    for name, fact in rows:
        made.add_row(Text(name, "dim"), *(fact(subject) for subject in found.subjects))
    return made


def _print_pairs(pairs: tuple[Pair, ...], names: list[str]) -> None:
    """A row a pair: verdict, difference and interval; then the reasons why others have none."""
    out = printer()
    told = [pair for pair in pairs if math.isfinite(pair.mean)]
    bases = list(dict.fromkeys(_basis(pair) for pair in told if pair.blocks))
    made = table("pair", ">difference", f"interval, {CONFIDENCE:.0%} for all", "")
    for pair in told:
        tested = pair.blocks > 0
        made.add_row(
            Text(_verdict(pair, names), _STYLES[pair.verdict]),
            "0" if pair.verdict == "same" else format.delta(pair.mean),
            f"{format.delta(pair.low)} to {format.delta(pair.high)}" if tested else "",
            _basis(pair) if tested and len(bases) > 1 else "",
        )
    if told:
        out.print(made)
    if len(bases) == 1:
        out.print(Text(f"in {bases[0]}", "dim"))
    if bases:
        out.print(Text(WIDER, "dim"), soft_wrap=True)
    reasons: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.reason and pair.verdict != "same":
            reasons.setdefault(pair.reason, []).append(f"{names[pair.a]} and {names[pair.b]}")
    for reason, which in reasons.items():
        listed = ", ".join(which if len(which) < 5 else [*which[:3], f"{len(which) - 3} other pairs"])
        out.print(Text(visible(f"{listed}: {reason}."), "yellow"), soft_wrap=True)
    if any(pair.computable for pair in pairs):
        out.print(Text("--deep computes the loss of every token, and compares them by it.", "dim"))


def _verdict(pair: Pair, names: list[str]) -> str:
    a, b = names[pair.a], names[pair.b]
    if pair.verdict in ("better", "worse"):
        return f"{b} {pair.verdict} than {a}"
    if pair.verdict == "same":
        return f"{b} same as {a}"
    return f"{b} ≈ {a}" if pair.blocks else f"{b} and {a}, no test"


def _basis(pair: Pair) -> str:
    """The unit of a test, and what it rests on."""
    of = f"{pair.windows:,} windows" if pair.windows else f"{pair.bytes:,} bytes of text"
    return f"{pair.unit}, {of} in {pair.blocks} blocks"


def _settings(found: Comparison) -> Table:
    made = table("settings that differ", *LETTERS[: len(found.subjects)])
    for difference in found.config:
        values = (format.MISSING if value is None else _value(value) for value in difference.values)
        made.add_row(Text(visible(difference.key), "dim"), *values)
    return made


def _value(value: Any) -> str:
    text = visible(f"{value:g}" if isinstance(value, float) else str(value)).replace("\n", " ")
    return text if len(text) <= 24 else f"{text[:23]}…"
