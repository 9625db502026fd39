"""How far the weights moved from one checkpoint to another: relative to their size, layer by layer.

Read it like this. The change of a part is ‖Wb − Wa‖ / ‖Wa‖ over all its tensors together (Frobenius norms,
in 64-bit floating point): 0 is untouched, 0.1 a tenth of its length away, √2 what two unrelated matrices of
one length are apart. Early in training everything moves; a part that still moves while the others rest is
what the model is learning now. The norms, `norm_a` and `norm_b`, show growth and what weight decay took.

What multiplies or decays, rather than maps, starts at large values and stays near them: the norms' gains at
1, a Mamba mixer's A_log at up to log(states). Those are parts of their own, because beside them the change of
the matrices could not be seen: A_log alone is 14 times as long as all matrices of its block. For the same
reason the change of a block is that of its matrices. A small change of a gain or of A_log is no small effect.

Queries and keys can turn together without changing what the model computes, so a large change alone says
nothing about the loss: that is measured on text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from safetensors import SafetensorError, safe_open

from nexus_tui.analysis.subject import Subject, checkpoint_of
from nexus_tui.runs.checkpoints import WEIGHTS
from nexus_tui.runs.run import RunError

Part = Literal["embedding", "attention", "mamba", "feed_forward", "matrices", "recurrence", "norms", "head"]
"""Embedding and head of a model (no head where the two are tied); of a block its mixer, `attention` or
`mamba`, and its feed-forward network, without what follows; `recurrence`: A_log, D and the bias of dt of a
Mamba mixer; `norms`: every gain, the mixer's own among them. `matrices` is all but those two, of a block or
of the model."""
Kind = Literal["attention", "mamba", "model"]
"""The block that a part belongs to, by its mixer; `model` for what is outside of the blocks."""

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

_MATRICES: tuple[Part, ...] = ("embedding", "attention", "mamba", "feed_forward", "head")
_RECURRENCE = ("mamba.A_log", "mamba.D", "mamba.dt_proj.bias")
_BLOCK = re.compile(r"model\.layers\.(\d+)\.(.+)")


@dataclass(frozen=True)
class LayerMovement:
    """How far one part moved. Norms are Frobenius norms over all its tensors."""

    layer: int | None
    """The block, from 0; None for what is outside of the blocks and for the model's matrices in all."""
    kind: Kind
    part: Part
    norm_a: float
    norm_b: float
    distance: float
    """‖Wb − Wa‖"""
    parameters: int

    @property
    def change(self) -> float:
        """‖Wb − Wa‖ / ‖Wa‖: 0 for what did not move, infinite for what moved away from 0."""
        if not self.distance:
            return 0.0
        return self.distance / self.norm_a if self.norm_a else math.inf


@dataclass(frozen=True)
class Movement:
    """Every part of every layer, from the embedding to the head, then the whole."""

    layers: tuple[LayerMovement, ...]
    """The embedding; of each block its parts, in the order of `Part`; last norm, head, all matrices."""

    @property
    def blocks(self) -> list[LayerMovement]:
        """The matrices of each block, first to last."""
        return [row for row in self.layers if row.layer is not None and row.part == "matrices"]

    @property
    def total(self) -> LayerMovement:
        """All matrices of the model, embedding and head among them."""
        return self.layers[-1]

    def of(self, layer: int | None) -> list[LayerMovement]:
        """The parts of a block, or those outside of the blocks; without `matrices`."""
        return [row for row in self.layers if row.layer == layer and row.part != "matrices"]


class _Squares(NamedTuple):
    """Sums of squares over some tensors: of a, of b, of their difference; and how many numbers those are."""

    a: float = 0.0
    b: float = 0.0
    apart: float = 0.0
    parameters: int = 0


def movement(a: Subject, b: Subject) -> Movement:
    """How far the weights of `b` are from those of `a`; reads one tensor of each at a time.

    Raises RunError if weights are not here or of another architecture, CheckpointError if they are damaged.
    """
    sums: dict[tuple[int | None, Part], _Squares] = {}
    for name, of_a, of_b in _tensors(a, b):
        place = _place(name)
        sums[place] = _sum([sums.get(place, _Squares()), _squares(of_a, of_b)])
    for layer in {layer for layer, _ in sums}:
        sums[layer, "matrices"] = _sum(
            s for (on, part), s in sums.items() if on == layer and part in _MATRICES
        )
    rows = [
        _row(layer, "attention" if (layer, "attention") in sums else "mamba", part, sums[layer, part])
        for layer in sorted({layer for layer, _ in sums if layer is not None})
        for part in get_args(Part)
        if (layer, part) in sums
    ]
    whole = _sum(squares for (_, part), squares in sums.items() if part == "matrices")
    outside = {part: _row(None, "model", part, s) for (layer, part), s in sums.items() if layer is None}
    outside["matrices"] = _row(None, "model", "matrices", whole)
    order: tuple[Part, ...] = ("norms", "head", "matrices")
    return Movement((outside["embedding"], *rows, *(outside[part] for part in order if part in outside)))


def _row(layer: int | None, kind: Kind, part: Part, squares: _Squares) -> LayerMovement:
    a, b, apart = (math.sqrt(square) for square in squares[:3])
    return LayerMovement(layer, kind, part, a, b, apart, squares.parameters)


def _sum(squares: Iterable[_Squares]) -> _Squares:
    return _Squares(*(sum(column) for column in zip(*squares, strict=True)))


def _squares(a: Floats, b: Floats) -> _Squares:
    apart = b - a
    return _Squares(float(a @ a), float(b @ b), float(apart @ apart), len(a))


def _place(name: str) -> tuple[int | None, Part]:
    """The layer and the part that a tensor of `model.safetensors` belongs to."""
    block = _BLOCK.fullmatch(name)
    if block is None:
        part = "norms" if name.endswith("layernorm.weight") else "head" if "head" in name else "embedding"
        return None, cast(Part, part)
    layer, rest = int(block[1]), block[2]
    if rest.endswith("layernorm.weight"):
        return layer, "norms"
    if rest in _RECURRENCE:
        return layer, "recurrence"
    module = rest.split(".")[0]
    return layer, cast(Part, {"self_attn": "attention"}.get(module, module))


def _tensors(a: Subject, b: Subject) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, and the flat values in both: [parameters] each."""
    paths = []
    for subject in (a, b):
        checkpoint = checkpoint_of(subject)
        checkpoint.verify(WEIGHTS)
        paths.append(checkpoint.path / WEIGHTS)
    try:
        with _opened(paths[0]) as of_a, _opened(paths[1]) as of_b:
            _require_alike(a, b, _shapes(of_a), _shapes(of_b))
            for name in sorted(of_a.keys()):
                yield name, _flat(of_a, name), _flat(of_b, name)
    except (OSError, SafetensorError) as error:
        raise RunError(f"the weights of {a.label} or {b.label} cannot be read: {error}.") from None


def _opened(path: Path) -> Any:
    """A file of weights, opened for numpy; where that lacks a type, for torch, which takes long to import."""
    with safe_open(path, "numpy") as stored:
        foreign = any(stored.get_slice(name).get_dtype() == "BF16" for name in stored.keys())  # noqa: SIM118
    return safe_open(path, "pt" if foreign else "numpy")


def _flat(stored: Any, name: str) -> Floats:
    values = stored.get_tensor(name)
    values = values if isinstance(values, np.ndarray) else values.double().numpy()
    return np.asarray(values, np.float64).reshape(-1)


def _shapes(stored: Any) -> dict[str, list[int]]:
    return {name: list(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118


def _require_alike(a: Subject, b: Subject, of_a: dict[str, list[int]], of_b: dict[str, list[int]]) -> None:
    """Raise RunError, naming a tensor that tells them apart, unless both have the same ones."""
    for name in sorted(of_a.keys() | of_b.keys()):
        if of_a.get(name) != of_b.get(name):
            shapes = [f"{of[name]} in {s.label}" for s, of in ((a, of_a), (b, of_b)) if name in of]
            only = "" if len(shapes) == 2 else " alone"
            raise RunError(
                f"{a.label} and {b.label} are of different architectures: {name} is "
                f"{' and '.join(shapes)}{only}; compare the weights of checkpoints of one model."
            )
