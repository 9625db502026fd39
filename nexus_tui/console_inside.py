"""What `compare --deep` prints besides the loss: what moved between checkpoints, what happens inside them."""

from itertools import pairwise
from typing import Any

from rich.text import Text

from nexus_tui.analysis.inside import Inside, LayerInside, inside
from nexus_tui.analysis.movement import LayerMovement, Movement, movement
from nexus_tui.console import printer
from nexus_tui.console_compare import LETTERS, progress, table
from nexus_tui.runs.comparison import Comparison, Subject
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import RunError
from nexus_tui.tui import format
from nexus_tui.untrusted import visible

Moved = list[tuple[int, int, Movement | str]]
"""Places of neighbours, and how far apart their weights are, or why that cannot be said."""


def moved(found: Comparison) -> Moved:
    """From each checkpoint whose weights are here to the next."""
    here = [place for place, subject in enumerate(found.subjects) if subject.checkpoint]
    told: Moved = []
    for a, b in pairwise(here):
        try:
            told.append((a, b, movement(found.subjects[a], found.subjects[b])))
        except RunError as error:
            told.append((a, b, str(error)))
    return told


def looked(found: Comparison) -> dict[int, Inside]:
    """Inside each checkpoint whose weights are here, by place."""
    return {
        place: inside(subject, progress(f"inside {subject.label}"))
        for place, subject in enumerate(found.subjects)
        if subject.checkpoint
    }


def print_inside(told: Moved, seen: dict[int, Inside]) -> None:
    """What moved, then the residual stream and the mixers, a row a layer."""
    _print_moved(told)
    _print_streams(seen)
    _print_memories(seen)
    _print_heads(seen)


def as_dict(found: Comparison, told: Moved, seen: dict[int, Inside]) -> dict[str, Any]:
    """The same as `compare --deep --json` prints it."""
    label = [subject.label for subject in found.subjects]
    return {
        "moved": [_moved_row(found.subjects[a], found.subjects[b], way) for a, b, way in told],
        "inside": {label[place]: _inside_row(each) for place, each in seen.items()},
    }


def _moved_row(a: Subject, b: Subject, way: Movement | str) -> dict[str, Any]:
    reason, rows = (way, ()) if isinstance(way, str) else (None, way.layers)
    return {"a": a.label, "b": b.label, "reason": reason, "parts": [_part_row(row) for row in rows]}


def _part_row(row: LayerMovement) -> dict[str, Any]:
    return {
        "layer": row.layer,
        "kind": row.kind,
        "part": row.part,
        "change": finite(row.change),
        "norm_a": finite(row.norm_a),
        "norm_b": finite(row.norm_b),
    }


def _inside_row(each: Inside) -> dict[str, Any]:
    return {
        "windows": each.windows,
        "embedding": finite(each.embedding),
        "layers": [_layer_row(layer) for layer in each.layers],
    }


def _layer_row(layer: LayerInside) -> dict[str, Any]:
    row: dict[str, Any] = {
        "layer": layer.layer, "kind": layer.kind, "residual": finite(layer.residual),
        "added": finite(layer.added),
    }  # fmt: skip
    if layer.mamba:
        row |= {
            "state": finite(layer.mamba.state),
            "dt": [finite(value) for value in layer.mamba.dt],
            "memory": [finite(value) for value in layer.mamba.memory],
            "beyond": finite(layer.mamba.beyond),
        }
    if layer.attention:
        row |= {
            "entropy": [finite(value) for value in layer.attention.entropy],
            "share": [finite(value) for value in layer.attention.share],
        }
    return row


def _print_moved(told: Moved) -> None:
    """‖Wb − Wa‖ / ‖Wa‖ of the matrices of each block, a column a step from one checkpoint to the next."""
    out = printer()
    ways = [(f"{LETTERS[a]} → {LETTERS[b]}", way) for a, b, way in told]
    known = [(name, way) for name, way in ways if isinstance(way, Movement)]
    if ways:
        out.print(Text("\nwhat moved: ‖Wb − Wa‖ / ‖Wa‖ of the matrices", "bold"))
    for name, way in ways:
        if isinstance(way, str):
            out.print(Text(visible(f"{name}: {way}"), "yellow"), soft_wrap=True)
    if not known:
        return
    made = table("part", *(f">{name}" for name, _ in known))
    changes = [_changes(way) for _, way in known]
    for part in dict.fromkeys(part for each in changes for part in each):
        made.add_row(part, *(format.percent(each.get(part)) for each in changes))
    out.print(made)


def _changes(way: Movement) -> dict[str, float]:
    """The embedding, each block, the head and all together: what each changed by."""
    outside = {row.part: row.change for row in way.of(None)}
    rows = {"embedding": outside["embedding"]}
    rows |= {f"block {row.layer} {row.kind}": row.change for row in way.blocks}
    rows |= {part: outside[part] for part in ("head",) if part in outside}
    return rows | {"all": way.total.change}


def _print_streams(seen: dict[int, Inside]) -> None:
    if not seen:
        return
    windows = min(each.windows for each in seen.values())
    title = f"\nthe residual stream: its norm after each block, over the first {windows} windows"
    printer().print(Text(title, "bold"), soft_wrap=True)
    made = table("after", *(f">{LETTERS[place]}" for place in seen))
    made.add_row("embedding", *(f"{each.embedding:.2f}" for each in seen.values()))
    for name, layers in _rows(seen):
        made.add_row(name, *(f"{layer.residual:.2f}" if layer else "" for layer in layers))
    printer().print(made)


def _print_memories(seen: dict[int, Inside]) -> None:
    rows = [(name, layers) for name, layers in _rows(seen) if any(layer and layer.mamba for layer in layers)]
    if not rows:
        return
    title = "\nwhat each Mamba layer remembers, in tokens: median (5 % to 95 % of channels × states)"
    printer().print(Text(title, "bold"), soft_wrap=True)
    made = table("", *(f">{LETTERS[place]}" for place in seen))
    for name, layers in rows:
        made.add_row(name, *(_memory(layer) for layer in layers))
    printer().print(made)


def _memory(layer: LayerInside | None) -> str:
    if layer is None or layer.mamba is None:
        return ""
    m = layer.mamba.memory
    return f"{_tokens(m.median)} ({_tokens(m.p5)} to {_tokens(m.p95)})"


def _tokens(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else format.short(value)


def _print_heads(seen: dict[int, Inside]) -> None:
    rows = [
        (name, layers) for name, layers in _rows(seen) if any(layer and layer.attention for layer in layers)
    ]
    if not rows:
        return
    title = "\nhow widely each attention head looks: entropy as share of looking evenly at all"
    printer().print(Text(title, "bold"), soft_wrap=True)
    made = table("", *(f">{LETTERS[place]}" for place in seen))
    for name, layers in rows:
        heads = max(len(layer.attention.share) if layer and layer.attention else 0 for layer in layers)
        for head in range(heads):
            shares = (
                format.percent(layer.attention.share[head])
                if layer and layer.attention and head < len(layer.attention.share)
                else ""
                for layer in layers
            )
            made.add_row(f"{name.removesuffix(' attention')} head {head}", *shares)
    printer().print(made)


def _rows(seen: dict[int, Inside]) -> list[tuple[str, list[LayerInside | None]]]:
    """Block by block, of each checkpoint the layer that goes by this name; None where it has none."""
    by_name = [
        {f"block {layer.layer} {layer.kind}": layer for layer in each.layers} for each in seen.values()
    ]
    names = dict.fromkeys(name for each in by_name for name in each)
    return [(name, [each.get(name) for each in by_name]) for name in names]
