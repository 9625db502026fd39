"""Sampling a checkpoint: verified, repeatable, and without a trace on anything else."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_tui.data.tokenizer import byte_tokenizer, train_bpe
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.generation import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import save_model
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint, save_checkpoint
from nexus_tui.training.sampling import KEPT_OPEN, Sampler

TINY = JambaConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1,
    num_attention_heads=4, num_key_value_heads=2, mamba_d_state=4, mamba_dt_rank=4, vocab_size=256,
)  # fmt: skip


def save(path: Path, seed: int, step: int = 1, config: JambaConfig = TINY, tokenizer=None) -> Checkpoint:
    def write(folder: Path) -> None:
        save_model(HybridLM(config, seed), folder)
        (folder / "tokenizer.json").write_text((tokenizer or byte_tokenizer()).to_str())

    return save_checkpoint(path, step, write)


@pytest.fixture(autouse=True)
def forget():
    Sampler._open.clear()


def text(sampler: Sampler, prompt: str = "To be", **how: float) -> str:
    return "".join(piece.text for piece in sampler.stream(prompt, Sampling(**{"max_tokens": 40, **how})))


def test_the_same_seed_gives_the_same_text_and_another_seed_another(tmp_path):
    first = text(Sampler.open(save(tmp_path / "a", 1)), seed=5)
    Sampler._open.clear()
    again = Sampler.open(open_checkpoint(tmp_path / "a"))
    assert text(again, seed=5) == first
    assert text(again, seed=6) != first


def test_nothing_global_is_drawn_or_changed(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    torch.manual_seed(3)
    np.random.seed(3)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    weights = {name: value.clone() for name, value in sampler.model.state_dict().items()}
    text(sampler)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()
    assert all(torch.equal(value, weights[name]) for name, value in sampler.model.state_dict().items())
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_byte_in_any_file_is_refused_by_name(tmp_path, name):
    checkpoint = save(tmp_path / "a", 1)
    content = bytearray((checkpoint.path / name).read_bytes())
    content[-2] ^= 1
    (checkpoint.path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as error:
        Sampler.open(checkpoint)
    assert str(error.value).endswith(".")
    assert not Sampler._open


def test_whole_but_foreign_files_are_refused_in_one_sentence(tmp_path):
    wrong = save(tmp_path / "bpe", 1, tokenizer=train_bpe("to be or not to be " * 50, 260))
    with pytest.raises(CheckpointError, match=r"tokenizer has \d+ tokens and the model 256"):
        Sampler.open(wrong)

    def write(folder: Path) -> None:
        save_model(HybridLM(TINY, 1), folder)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        (folder / "tokenizer.json").write_text(byte_tokenizer().to_str())

    with pytest.raises(CheckpointError, match="llama"):
        Sampler.open(save_checkpoint(tmp_path / "llama", 1, write))


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path):
    checkpoint = save_checkpoint(tmp_path / "a", 1, lambda folder: save_model(HybridLM(TINY, 1), folder))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Sampler.open(checkpoint)


def test_the_newest_two_stay_open_and_only_they(tmp_path):
    a, b, c = (save(tmp_path / name, seed) for seed, name in enumerate("abc"))
    first = Sampler.open(a)
    second = Sampler.open(b)
    assert Sampler.open(a) is first
    Sampler.open(c)  # the least recently used, b, goes
    assert Sampler.open(a) is first
    assert Sampler.open(b) is not second
    assert len(Sampler._open) == KEPT_OPEN


def test_an_open_sampler_outlives_its_folder(tmp_path):
    checkpoint = save(tmp_path / "a", 1)
    sampler = Sampler.open(checkpoint)
    before = text(sampler)
    shutil.rmtree(checkpoint.path)
    assert text(sampler) == before


def test_pieces_carry_what_the_model_thought(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    pieces = list(sampler.stream("The king", Sampling(temperature=0, max_tokens=20)))
    assert len(pieces) == 20
    assert all(piece.rank == 1 and piece.logprob < 0 < piece.entropy for piece in pieces)
    assert all(piece.bytes == 1 for piece in pieces)


def test_a_character_cut_off_at_the_end_is_not_swallowed():
    model = HybridLM(TINY, 1)

    class Always(torch.nn.Module):
        """Writes the two bytes of é for ever."""

        config = TINY

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, ids, *_, **__):
            logits = torch.zeros(1, 1, 256)
            logits[..., 0xA9 if ids[0, -1] == 0xC3 else 0xC3] = 50
            return logits

    sampler = Sampler(model, byte_tokenizer())
    sampler.model = Always()
    pieces = list(sampler.stream("", Sampling(max_tokens=5)))
    assert [piece.text for piece in pieces] == ["", "é", "", "é", "�"]


def test_an_empty_prompt_begins_after_a_line_break_in_any_vocabulary():
    tokenizer = train_bpe("to be or not to be that is the question\n" * 50, 270)
    config = TINY.model_copy(update={"vocab_size": tokenizer.get_vocab_size()})
    sampler = Sampler(HybridLM(config, 2), tokenizer)
    how = Sampling(max_tokens=10)
    assert [p.id for p in sampler.stream("", how)] == [p.id for p in sampler.stream("\n", how)]


def test_closing_the_iterator_stops(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    stream = sampler.stream("x", Sampling(max_tokens=10**9))
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


def losses_of_training(steps: int = 6) -> list[float]:
    model = HybridLM(TINY, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(0, 256, (4, 33), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_beside_it_gives_the_same_losses_bit_for_bit(tmp_path):
    alone = losses_of_training()
    sampler, stop, tokens = Sampler.open(save(tmp_path / "a", 1)), threading.Event(), [0]

    def sample() -> None:
        for _ in sampler.stream("To be", Sampling(max_tokens=10**9)):
            tokens[0] += 1
            if stop.is_set():
                break

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        while not tokens[0]:
            time.sleep(0.01)
        assert losses_of_training() == alone
    finally:
        stop.set()
        thread.join(30)
    assert tokens[0] > 1


def test_a_prompt_of_lone_surrogates_is_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="no valid Unicode"):
        next(Sampler.open(save(tmp_path / "a", 1)).stream("\ud800", Sampling()))
