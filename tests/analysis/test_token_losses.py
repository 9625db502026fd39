"""Token losses of trained checkpoints: those of the evaluation, kept, never stale, across tokenizers."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from nexus_tui.analysis import token_losses as module
from nexus_tui.analysis.cache import entry
from nexus_tui.analysis.subject import opened
from nexus_tui.analysis.token_losses import measured, token_losses
from nexus_tui.config import RunConfig
from nexus_tui.runs.checkpoints import CheckpointError, file_sha256
from nexus_tui.runs.comparison import Subject, compare, find_subject
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.session import Session


def train(root: Path, config: RunConfig, name: str) -> Path:
    session = Session.start(root, config, name)
    session.join()
    assert session.error is None, session.error
    return session.folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over one text: `byte`, and `bpe` with another window and other tokens."""
    from tests.conftest import LINES, SMALL

    root = tmp_path_factory.mktemp("trained")
    (root / "sonnet.txt").write_text("".join(f"{number} {LINES}" for number in range(60)))
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["corpus"] = str(root / "sonnet.txt")
    train(root, RunConfig.check(tables, "test"), "byte")
    tables["data"] |= {"tokenizer": "bpe", "window": 8}
    tables["model"] |= {"vocab_size": 270}
    train(root, RunConfig.check(tables, "test"), "bpe")
    return root


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained / "byte", tmp_path / "runs" / "byte")
    return tmp_path / "runs" / "byte"


def subject(folder: Path, which: str = "8") -> Subject:
    return find_subject(Run(folder), which)


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "evaluations" / "analysis").glob("*"))


def no_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(*arguments: object) -> None:
        raise AssertionError("it was computed again")

    monkeypatch.setattr(module, "_score", score)


def test_they_are_those_of_the_evaluation(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    made = subject(folder)
    t = token_losses(made, lambda done, total: told.append((done, total)))
    assert t.loss == pytest.approx(made.loss, abs=1e-6)
    assert t.stderr == pytest.approx(made.stderr, abs=1e-6)
    assert t.bits_per_byte == pytest.approx(made.bits_per_byte, abs=1e-6)
    assert np.allclose(t.window_losses, made.window_losses, atol=1e-5)
    assert t.protocol == made.protocol
    assert told[-1] == (len(t.losses), len(t.losses))
    work = opened(made)
    assert work.dataset.text.validation.startswith(t.text)
    assert t.bytes == work.validation.bytes
    # Another way to the same numbers: the log-probability of each target, one window alone.
    with torch.inference_mode():
        logits = work.model(torch.from_numpy(t.inputs[3:4]))
    chosen = logits.log_softmax(-1)[0].gather(-1, torch.from_numpy(t.targets[3])[:, None])[:, 0]
    assert np.allclose(-chosen.numpy(), t.losses[3], atol=1e-5)


def test_they_are_computed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = token_losses(subject(folder))
    assert len(kept(folder)) == 1
    no_scoring(monkeypatch)
    again = token_losses(subject(folder))
    for name in ("losses", "inputs", "targets"):
        one, other = getattr(first, name), getattr(again, name)
        assert one.dtype == other.dtype and np.array_equal(one, other)
    assert (first.token_bytes, first.protocol) == (again.token_bytes, again.protocol)


def test_a_file_that_is_no_result_is_computed_anew(folder: Path) -> None:
    first = token_losses(subject(folder))
    (path,) = kept(folder)
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    losses, sizes = arrays["losses"], arrays["sizes"]
    wrong = [
        {"losses": losses + np.float32(0.01)},  # another loss than the record
        {"losses": np.ascontiguousarray(losses[::-1])},  # the same mean, of other windows
        {"losses": losses.astype(np.float64)},
        {"losses": losses.ravel()},
        {"losses": losses[:-1]},
        {"losses": losses[:0]},
        {"losses": np.full_like(losses, np.nan)},
        {"tokens": arrays["tokens"] * 0 + len(sizes)},
        {"tokens": arrays["tokens"] * 0 - 1},
        {"tokens": arrays["tokens"].astype(np.int64)},
        {"vocabulary": arrays["vocabulary"][:-1]},
        {"sizes": -sizes},
        {"sizes": np.zeros((0,), np.int32)},
        {"sizes": sizes[None]},
        {"key": np.frombuffer(arrays["key"].tobytes().replace(b"tokens 1", b"tokens 0"), np.uint8)},
    ]
    for change in wrong:
        np.savez(path, **arrays | change)
        assert np.array_equal(token_losses(subject(folder)).losses, losses), change
        assert path.read_bytes() == whole
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 100):
        path.write_bytes(damaged)
        assert np.array_equal(token_losses(subject(folder)).losses, first.losses)


def test_other_weights_in_the_same_place_are_never_the_old_result(folder: Path) -> None:
    token_losses(subject(folder))
    path = folder / "checkpoints" / "step_8" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 2)
    save_file(tensors | {name: tensors[name] * np.float32(1.5)}, path, {"format": "pt"})
    with pytest.raises(CheckpointError, match="is damaged"):
        token_losses(subject(folder))
    # With a manifest that fits them: computed, and found not to be what was evaluated.
    manifest = folder / "checkpoints" / "step_8" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["files"]["model.safetensors"] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    manifest.write_text(json.dumps(told))
    with pytest.raises(RunError, match="on record: these weights were not evaluated"):
        token_losses(subject(folder))
    assert len(kept(folder)) == 1


def test_another_text_is_refused_and_the_kept_result_is_still_of_the_old_one(
    trained: Path, folder: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "text.txt"
    shutil.copy(trained / "sonnet.txt", corpus)
    config = folder / "run.toml"
    config.write_text(config.read_text().replace(str(trained / "sonnet.txt"), str(corpus)))
    token_losses(subject(folder))
    corpus.write_text(corpus.read_text().replace("thee", "thou"))
    assert token_losses(subject(folder)).text.count(b"thee") > 3
    with pytest.raises(RunError, match="evaluated on another text, tokenizer or window"):
        token_losses(subject(folder, "12"))


def test_cancelling_leaves_nothing(folder: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        token_losses(subject(folder), stop)
    assert not kept(folder)


def test_without_weights_it_is_one_sentence(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints" / "step_8")
    with pytest.raises(RunError, match=r"byte:8 has no weights here"):
        token_losses(subject(folder))


def test_where_nothing_can_be_kept_it_is_computed(folder: Path) -> None:
    (folder / "evaluations" / "analysis").write_text("a file in its place")
    assert token_losses(subject(folder)).losses.size


def test_what_was_never_evaluated_gets_its_loss(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = subject(folder).loss
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(ln for ln in lines if not ('"evaluated"' in ln and '"step":8,' in ln)))
    bare = subject(folder)
    assert math.isnan(bare.loss)
    assert compare([bare, subject(folder, "4")]).pairs[0].computable
    found = measured(bare)
    assert found.loss == pytest.approx(loss, abs=1e-6)
    assert compare([found, subject(folder, "4")]).pairs[0].blocks == 10
    no_scoring(monkeypatch)
    assert measured(subject(folder)).loss == found.loss


def test_bits_per_byte_across_tokenizers_and_windows(trained: Path, tmp_path: Path) -> None:
    trained = Path(shutil.copytree(trained, tmp_path / "both"))  # what is kept stays out of the other tests
    byte, bpe = find_subject(Run(trained / "byte"), "12"), find_subject(Run(trained / "bpe"), "12")
    before = compare([byte, bpe]).pairs[0]
    assert (before.verdict, before.computable) == ("incomparable", True)
    one, other = measured(byte), measured(bpe)
    (pair,) = compare([one, other]).pairs
    assert pair.unit == "bits/byte" and pair.verdict in ("better", "worse", "undecided")
    # Both cover nearly the same text, so the difference is nearly that of their own bits per byte.
    assert pair.mean == pytest.approx(bpe.bits_per_byte - byte.bits_per_byte, abs=0.05)
    assert one.measured is not None and other.measured is not None
    assert pair.bytes >= min(one.measured.bytes, other.measured.bytes) - 16
    assert len({len(t.token_bytes) for t in (one.measured, other.measured)}) == 2


def test_the_name_of_the_file_is_of_weights_and_protocol(folder: Path) -> None:
    made = subject(folder)
    token_losses(made)
    assert kept(folder) == [entry(folder, "tokens", 1, made.sha256, made.protocol).path]
