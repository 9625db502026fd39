"""What is seen inside a model equals what the equations give in 64-bit floating point, written out anew."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexus_tui.analysis import reading
from nexus_tui.analysis.inside import WINDOWS, Inside, Spread, pack, unpack
from nexus_tui.analysis.reading import read
from nexus_tui.analysis.subject import opened
from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject
from nexus_tui.training.opened import Opened
from tests.analysis import plain_model
from tests.analysis.plain_model import Seen
from tests.analysis.tiny import configuration, trained, weights

CLOSE = 2e-5
"""Relative: the model runs in 32 bits, the tests in 64."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("inside")
    return trained(folder, configuration(folder, lines=150))


@pytest.fixture(scope="module")
def ready(run: Run) -> Opened:
    return opened(Subject(run, "step_12"))


@pytest.fixture(scope="module")
def seen(run: Run, ready: Opened) -> list[Seen]:
    config = json.loads((run.folder / "checkpoints" / "step_12" / "config.json").read_text())
    inputs = ready.validation.inputs[:WINDOWS]
    blocks, logits = plain_model.run(weights(run, "step_12"), config, inputs)
    losses = plain_model.losses(logits, ready.validation.targets[:WINDOWS]).mean(1)
    assert run.window_losses("step_12")[:WINDOWS] == pytest.approx(losses, rel=1e-5)  # it is the same model
    return blocks


@pytest.fixture(scope="module")
def found(ready: Opened) -> Inside:
    return read(ready.model, ready.validation.inputs[:WINDOWS])


def quantiles(values: Any) -> list[float]:
    """By sorting, with linear interpolation between neighbours."""
    ordered = sorted(np.asarray(values).ravel().tolist())
    result = []
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        result.append(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
    return result


def test_there_are_more_windows_than_are_read(ready: Opened, found: Inside) -> None:
    assert len(ready.validation.inputs) > WINDOWS
    assert (found.windows, found.length) == (WINDOWS, 16)


def test_the_residual_stream(seen: list[Seen], found: Inside) -> None:
    def norm(x: Any) -> float:
        total = 0.0
        for token in x.reshape(-1, x.shape[-1]):
            total += math.sqrt(math.fsum(number * number for number in token.tolist()))
        return total / (x.shape[0] * x.shape[1])

    assert found.embedding == pytest.approx(norm(seen[0].before), rel=CLOSE)
    for layer, block in zip(found.layers, seen, strict=True):
        assert layer.residual == pytest.approx(norm(block.after), rel=CLOSE)
        assert layer.added == pytest.approx(norm(block.after - block.before), rel=CLOSE)


def test_the_state_at_the_windows_end(seen: list[Seen], found: Inside) -> None:
    for layer in (0, 2):
        roots = [math.sqrt(np.mean(np.square(window))) for window in seen[layer].state]
        mamba = found.layers[layer].mamba
        assert mamba is not None
        assert mamba.state == pytest.approx(sum(roots) / len(roots), rel=CLOSE)


def test_step_sizes_and_memory_in_tokens(run: Run, seen: list[Seen], found: Inside) -> None:
    for layer in (0, 2):
        mamba, dt = found.layers[layer].mamba, seen[layer].dt
        assert mamba is not None
        assert list(mamba.dt) == pytest.approx(quantiles(dt), rel=CLOSE)
        A_log = weights(run, "step_12")[f"model.layers.{layer}.mamba.A_log"]
        memory = [
            1
            / (
                math.fsum(dt[:, :, channel].ravel())
                / dt[:, :, channel].size
                * math.exp(A_log[channel, state])
            )
            for channel in range(A_log.shape[0])
            for state in range(A_log.shape[1])
        ]
        assert list(mamba.memory) == pytest.approx(quantiles(memory), rel=CLOSE)
        assert mamba.beyond == sum(tokens > 16 for tokens in memory) / len(memory)
        assert 0 < mamba.beyond < 1


def test_after_its_memory_a_state_has_faded_to_one_in_e(run: Run, seen: list[Seen]) -> None:
    # The claim itself: the product of the decays that the recurrence applied, over all tokens it read.
    dt = seen[0].dt[:, :, 3].ravel()
    A = math.exp(weights(run, "step_12")["model.layers.0.mamba.A_log"][3, 1])
    left = 1.0
    for step in dt.tolist():
        left *= math.exp(-step * A)
    memory = 1 / (dt.mean() * A)
    assert left ** (memory / len(dt)) == pytest.approx(1 / math.e, rel=1e-9)


def test_where_heads_look(seen: list[Seen], found: Inside) -> None:
    attention = found.layers[1].attention
    assert attention is not None
    even = sum(math.log(t + 1) for t in range(16)) / 16
    for head in range(4):
        total = 0.0
        for window in seen[1].weights[:, head]:
            for t in range(16):
                total -= sum(weight * math.log(weight) for weight in window[t, : t + 1].tolist())
        entropy = total / (WINDOWS * 16)
        assert attention.entropy[head] == pytest.approx(entropy, rel=CLOSE)
        assert attention.share[head] == pytest.approx(entropy / even, rel=CLOSE)
        assert 0 < attention.share[head] < 1
    assert len({round(entropy, 6) for entropy in attention.entropy}) == 4  # no head stands for another


def test_many_step_sizes_are_thinned_by_token(
    ready: Opened, seen: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = seen[0].dt.shape[-1]
    monkeypatch.setattr(reading, "_DT_VALUES", 4 * 16 * channels // 3 + 1)
    mamba = read(ready.model, ready.validation.inputs[:4]).layers[0].mamba
    assert mamba is not None
    dt = seen[0].dt[:4].reshape(-1, channels)
    assert list(mamba.dt) == pytest.approx(quantiles(dt[::3]), rel=CLOSE)
    assert list(mamba.dt) != pytest.approx(quantiles(dt), rel=CLOSE)  # of all tokens they are others


def test_watching_changes_nothing_and_leaves_nothing_behind(ready: Opened) -> None:
    hooks = [len(module._forward_hooks) for module in ready.model.modules()]
    assert not any(hooks)
    told = []

    class CancelledError(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        told.append((done, total))
        raise CancelledError

    with pytest.raises(CancelledError):
        read(ready.model, np.tile(ready.validation.inputs[:WINDOWS], (3, 1)), cancel)
    assert told == [(64, 192)]
    assert not any(len(module._forward_hooks) for module in ready.model.modules())


def test_what_is_kept_comes_back(found: Inside) -> None:
    assert unpack(pack(found)) == found
    arrays = pack(found)
    with pytest.raises(ValueError, match="mixer"):
        unpack(arrays | {"mamba": arrays["mamba"][:1]})
    with pytest.raises(KeyError):
        unpack({name: array for name, array in arrays.items() if name != "stream"})
    assert isinstance(found.layers[0].mamba.dt, Spread)  # type: ignore[union-attr]


def test_a_model_without_attention(tmp_path: Path) -> None:
    config = configuration(
        tmp_path, model={"num_hidden_layers": 1, "attn_layer_period": 2}, budget={"steps": 4}
    )
    ready = opened(Subject(trained(tmp_path, config), "step_4"))
    found = read(ready.model, ready.validation.inputs[:3])
    assert [layer.kind for layer in found.layers] == ["mamba"]
    assert unpack(pack(found)) == found
