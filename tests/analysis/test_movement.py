"""How far weights moved equals what plain loops over the tensors say; other architectures are refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nexus_tui.analysis.movement import LayerMovement, Movement, movement
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.subject import Subject
from tests.analysis.tiny import configuration, trained, weights

# Which tensors make up which part, written out: the names of layers 0 (Mamba) and 1 (attention).
MAMBA = [
    "in_proj.weight",
    "conv1d.weight",
    "conv1d.bias",
    "x_proj.weight",
    "dt_proj.weight",
    "out_proj.weight",
]
PARTS = {
    (None, "embedding"): ["model.embed_tokens.weight"],
    (None, "head"): ["lm_head.weight"],
    (None, "norms"): ["model.final_layernorm.weight"],
    (0, "mamba"): [f"model.layers.0.mamba.{name}" for name in MAMBA],
    (0, "recurrence"): [f"model.layers.0.mamba.{name}" for name in ("A_log", "D", "dt_proj.bias")],
    (0, "norms"): [
        f"model.layers.0.{name}layernorm.weight"
        for name in ("input_", "pre_ff_", "mamba.dt_", "mamba.b_", "mamba.c_")
    ],
    (1, "attention"): [f"model.layers.1.self_attn.{name}_proj.weight" for name in "qkvo"],
    (1, "norms"): [f"model.layers.1.{name}_layernorm.weight" for name in ("input", "pre_ff")],
    (1, "feed_forward"): [
        f"model.layers.1.feed_forward.{name}_proj.weight" for name in ("gate", "up", "down")
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("movement")
    return trained(folder, configuration(folder))


@pytest.fixture(scope="module")
def moved(run: Run) -> Movement:
    return movement(Subject(run, "step_4"), Subject(run, "step_12"))


def row(moved: Movement, layer: int | None, part: str) -> LayerMovement:
    (found,) = [row for row in moved.layers if (row.layer, row.part) == (layer, part)]
    return found


def plainly(run: Run, names: list[str]) -> tuple[float, float, float]:
    """‖a‖, ‖b‖ and ‖b − a‖, number by number."""
    a, b = weights(run, "step_4"), weights(run, "step_12")
    sums = [0.0, 0.0, 0.0]
    for name in names:
        for of_a, of_b in zip(a[name].ravel().tolist(), b[name].ravel().tolist(), strict=True):
            sums[0] += of_a * of_a
            sums[1] += of_b * of_b
            sums[2] += (of_b - of_a) ** 2
    return math.sqrt(sums[0]), math.sqrt(sums[1]), math.sqrt(sums[2])


@pytest.mark.parametrize(("layer", "part"), PARTS)
def test_a_part_is_what_plain_loops_say(run: Run, moved: Movement, layer: int | None, part: str) -> None:
    found = row(moved, layer, part)
    a, b, apart = plainly(run, PARTS[layer, part])
    assert (found.norm_a, found.norm_b, found.distance) == pytest.approx((a, b, apart), rel=1e-12)
    assert found.change == pytest.approx(apart / a, rel=1e-12)
    assert found.change > 1e-3  # it was trained, and float32 rounding is far below


def test_every_number_is_in_one_part(run: Run, moved: Movement) -> None:
    stored = weights(run, "step_4")
    parts = [found for found in moved.layers if found.part != "matrices"]
    assert sum(found.parameters for found in parts) == sum(tensor.size for tensor in stored.values())
    assert [found.layer for found in moved.blocks] == [0, 1, 2]
    assert [found.kind for found in moved.blocks] == ["mamba", "attention", "mamba"]
    assert [found.part for found in moved.of(0)] == ["mamba", "feed_forward", "recurrence", "norms"]


def test_the_matrices_are_all_but_gains_and_the_recurrence(run: Run, moved: Movement) -> None:
    names = [
        name
        for name in weights(run, "step_4")
        if "layernorm" not in name and not name.endswith(("A_log", ".D", "dt_proj.bias"))
    ]
    a, b, apart = plainly(run, names)
    total = moved.total
    assert (total.norm_a, total.norm_b, total.distance) == pytest.approx((a, b, apart), rel=1e-12)
    block = plainly(run, [name for name in names if name.startswith("model.layers.0.")])
    assert row(moved, 0, "matrices").change == pytest.approx(block[2] / block[0], rel=1e-12)


def test_nothing_moves_to_itself(run: Run) -> None:
    subject = Subject(run, "step_8")
    assert {found.change for found in movement(subject, subject).layers} == {0.0}


def test_a_head_tied_to_the_embedding_is_no_part(tmp_path: Path) -> None:
    config = configuration(tmp_path, model={"tie_word_embeddings": True}, budget={"steps": 4})
    subject = Subject(trained(tmp_path, config), "step_4")
    assert "head" not in {found.part for found in movement(subject, subject).layers}


def test_what_moved_away_from_zero_moved_infinitely_far() -> None:
    assert LayerMovement(0, "mamba", "mamba", 0.0, 1.0, 1.0, 3).change == math.inf
    assert LayerMovement(0, "mamba", "mamba", 0.0, 0.0, 0.0, 3).change == 0.0


def test_another_architecture_is_refused_and_named(run: Run, tmp_path: Path) -> None:
    wider = configuration(tmp_path, model={"intermediate_size": 32}, budget={"steps": 4})
    other = Subject(trained(tmp_path, wider, "wider"), "step_4")
    with pytest.raises(
        RunError, match=r"tiny:4 and wider:4 are of different architectures: model\.layers\.0\.feed_forward\."
        r"down_proj\.weight is \[16, 24\] in tiny:4 and \[16, 32\] in wider:4"
    ):  # fmt: skip
        movement(Subject(run, "step_4"), other)
    deeper = configuration(tmp_path, model={"num_hidden_layers": 4}, budget={"steps": 4})
    other = Subject(trained(tmp_path, deeper, "deeper"), "step_4")
    with pytest.raises(RunError, match=r"model\.layers\.3\..* in deeper:4 alone"):
        movement(Subject(run, "step_4"), other)


def test_gone_or_damaged_weights_are_refused(tmp_path: Path) -> None:
    run = trained(tmp_path, configuration(tmp_path))
    path = run.folder / "checkpoints" / "step_8" / "model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor + np.float32(0.1) for name, tensor in tensors.items()}, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match="damaged"):
        movement(Subject(run, "step_4"), Subject(Run(run.folder), "step_8"))
    path.unlink()
    with pytest.raises(RunError, match=r"tiny:step_8 is damaged: .*model\.safetensors"):
        movement(Subject(Run(run.folder), "step_8"), Subject(run, "step_4"))
