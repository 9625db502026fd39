"""Sampling a checkpoint: verified, repeatable, and without a trace on anything else."""

import math
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_tui.data.tokenizer import byte_tokenizer, train_bpe
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.generation import Sampling, SamplingError
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import save_model
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError, open_checkpoint, save_checkpoint
from nexus_tui.training.sampling import KEPT_OPEN, Piece, Sampler, TextError

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


class Writes(torch.nn.Module):
    """Writes given ids one after the other, whatever it reads; certain of each."""

    config = TINY

    def __init__(self, ids: bytes | list[int], vocab_size: int = 256) -> None:
        super().__init__()
        self.config = TINY.model_copy(update={"vocab_size": vocab_size})
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.ids = list(ids)
        self.read: list[int] = []

    def forward(self, ids, *_, **__):
        self.read.append(ids.shape[1])
        logits = torch.zeros(1, 1, self.config.vocab_size)
        logits[..., self.ids[(len(self.read) - 1) % len(self.ids)]] = 50
        return logits


def writing(text: str | bytes, prompt: str | bytes = "x", tokens: int | None = None, **how) -> list[Piece]:
    """The pieces of a model that writes this text."""
    data = text.encode() if isinstance(text, str) else text
    sampler = Sampler(HybridLM(TINY, 1), byte_tokenizer())
    sampler.model = Writes(data)
    sampling = Sampling(0, max_tokens=len(data) if tokens is None else tokens)
    return list(sampler.stream(prompt, sampling, **how))


def bpe_sampler(line: str) -> Sampler:
    tokenizer = train_bpe(line * 50, 300)
    config = TINY.model_copy(update={"vocab_size": tokenizer.get_vocab_size()})
    return Sampler(HybridLM(config, 4).eval(), tokenizer)


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("text", "stop", "shown", "end"),
    [
        ("One. Two. Three.", [" Two"], "One.", "stop text"),
        ("One. Two. Three.", [" Four"], "One. Two. Three.", "max tokens"),
        ("One. Two. Three.", ["hre", ". T"], "One", "stop text"),
        ("naïve café, né", ["é"], "naïve caf", "stop text"),
        ("🌍🌎🌏", ["🌏"], "🌍🌎", "stop text"),
        ("aab aaab", ["aaab"], "aab ", "stop text"),
        ("ends in a par", ["part"], "ends in a par", "max tokens"),
        ("ends whole", ["whole"], "ends ", "stop text"),
        ("a\n\nb", ["\n\n"], "a", "stop text"),
    ],
)
def test_a_stop_text_ends_the_text_and_is_no_part_of_it(text: str, stop: list[str], shown: str, end: str):
    pieces = writing(text, stop=stop)
    assert joined(pieces) == shown
    assert [piece.end for piece in pieces] == [""] * (len(pieces) - 1) + [end]
    for count in range(len(pieces)):  # never taken back, and never begun
        so_far = joined(pieces[:count])
        assert shown.startswith(so_far)


def test_a_stop_text_is_found_whatever_the_tokens():
    sampler = bpe_sampler("the king and the queen and the king\n")
    whole = sampler.encode("and the king and the queen")
    for stop, shown in (("king", "and the "), ("g a", "and the kin"), ("d", "an"), ("he", "and t")):
        sampler.model = Writes(whole, len(sampler.token_bytes))
        pieces = sampler.stream("x", Sampling(0, max_tokens=len(whole)), stop=[stop])
        assert joined(list(pieces)) == shown


def test_every_token_is_told_even_while_its_text_is_held_back():
    pieces = writing("One. Two", stop=[" Twenty"])
    assert [piece.token for piece in pieces] == [bytes([b]) for b in b"One. Two"]
    assert [piece.text for piece in pieces] == ["O", "n", "e", ".", "", "", "", " Two"]
    assert [piece.position for piece in pieces] == list(range(1, 9))
    assert all(piece.alternatives[0] == (piece.id, piece.logprob) for piece in pieces)
    assert all(len(piece.alternatives) == 10 for piece in pieces)


def test_an_empty_stop_text_is_refused_at_once(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    with pytest.raises(SamplingError, match="A stop text is empty"):
        sampler.stream("x", Sampling(), stop=[""])
    with pytest.raises(SamplingError, match="share of a core is 0"):
        sampler.stream("x", Sampling(), share=0)


# Continuing ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["byte", "bpe"])
def sampler(request) -> Sampler:
    if request.param == "byte":
        return Sampler(HybridLM(TINY, 4).eval(), byte_tokenizer())
    return bpe_sampler("to be or not to be, that is the question — ünïcödé\n")


@pytest.mark.parametrize("how", [{}, {"repetition_penalty": 1.4, "min_p": 0.02, "top_k": 40}])
def test_continued_from_its_tokens_a_text_is_what_one_run_would_have_been(sampler: Sampler, how: dict):
    whole = list(sampler.stream("To bé", Sampling(max_tokens=30, seed=9, **how)))
    for cut in (0, 1, 11, 29):
        first = [piece.id for piece in whole[:cut]]
        rest = list(sampler.stream("To bé", Sampling(max_tokens=30 - cut, seed=9, **how), first_ids=first))
        assert [p.id for p in rest] == [p.id for p in whole[cut:]]
        assert [p.position for p in rest] == [p.position for p in whole[cut:]]
        prompt = sampler.encode("To bé")
        assert sampler.text([*prompt, *first]) + joined(rest) == "To bé" + joined(whole)


def test_a_branch_goes_on_from_the_other_token(sampler: Sampler):
    whole = list(sampler.stream("To be", Sampling(max_tokens=12, seed=1)))
    other = next(a.id for a in whole[5].alternatives if a.id != whole[5].id)
    ids = [piece.id for piece in whole[:5]] + [other]
    branch = list(sampler.stream("To be", Sampling(max_tokens=6, seed=1), first_ids=ids))
    assert branch[0].position == whole[6].position
    again = sampler.stream("To be", Sampling(max_tokens=6, seed=1), first_ids=ids)
    assert [piece.id for piece in again] == [piece.id for piece in branch]
    with pytest.raises(ValueError, match="the model knows 0 to"):
        sampler.stream("To be", Sampling(), first_ids=[100_000])


# Prompts that are hardly text ----------------------------------------------------------------------------


def test_a_character_that_the_prompt_ends_amid_is_completed():
    for cut in (1, 2, 3):
        head, tail = "🌍".encode()[:cut], "🌍".encode()[cut:]
        assert joined(writing(tail + b"!", prompt=b"ab" + head)) == "🌍!"
    assert joined(writing(b"!", prompt=b"ab\xc3")) == "�!"
    assert joined(writing(b"\xa9!", prompt=b"\xff\xff\xc3")) == "é!"
    assert joined(writing(b"\xa9!", prompt="é")) == "�!"  # nothing is left open there


@pytest.mark.parametrize("prompt", [b"\xff\xfe", b"\x00\x1b[2J\x9b", b"\x80", "\x1b]0;x\x07", "\r\n\t"])
def test_bytes_of_any_kind_are_a_prompt_for_a_tokenizer_of_bytes(tmp_path, prompt: str | bytes):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    data = prompt if isinstance(prompt, bytes) else prompt.encode()
    assert sampler.encode(prompt) == list(data)
    assert len(list(sampler.stream(prompt, Sampling(max_tokens=5)))) == 5


def test_other_tokenizers_refuse_what_is_no_utf8_in_one_sentence():
    sampler = bpe_sampler("to be or not to be that is the question\n")
    for work in (lambda: sampler.stream(b"ab\xff", Sampling()), lambda: sampler.score(b"ab\xff")):
        with pytest.raises(TextError, match=r"^The text is no UTF-8 \(at byte 2\)[^.]*\.$"):
            work()
    assert len(list(sampler.stream("é".encode(), Sampling(max_tokens=3)))) == 3


@pytest.mark.parametrize("length", [4 * 128, 4 * 128 + 1, 2000])
def test_a_prompt_of_many_windows_is_read_whole(tmp_path, length: int):
    """Its first byte still counts at its end; what is drawn is what reading at once would give."""
    sampler = Sampler.open(save(tmp_path / "a", 1))
    prompt = bytes(np.random.default_rng(0).integers(32, 127, length, dtype=np.uint8))
    (piece,) = sampler.stream(prompt, Sampling(max_tokens=1))
    with torch.no_grad():
        logits = sampler.model(torch.tensor([list(prompt)]))[0, -1].double()
    assert piece.position == length
    assert piece.logprob == pytest.approx(logits.log_softmax(-1)[piece.id].item(), abs=1e-4)


# Score ---------------------------------------------------------------------------------------------------


def test_the_score_is_that_of_every_token_after_a_line_break(sampler: Sampler):
    text = "to be, or nöt to be:\nthat is\x00 the question"
    scored = sampler.score(text)
    assert b"".join(scored.tokens) == text.encode()
    ids = torch.tensor([[sampler.encode("\n")[-1], *scored.ids]])
    with torch.no_grad():
        expected = sampler.model.loss(ids[:, :-1], ids[:, 1:], reduction="none")[0]
    assert scored.losses == pytest.approx(expected.tolist(), abs=1e-5)
    assert scored.nats == pytest.approx(sum(scored.losses))
    assert scored.bytes == len(text.encode())
    assert scored.bits_per_byte == pytest.approx(scored.nats / len(text.encode()) / math.log(2))
    assert sampler.score(text.encode()) == scored


def test_the_score_of_what_was_drawn_is_what_it_was_drawn_with(sampler: Sampler):
    pieces = list(sampler.stream("", Sampling(1.3, top_k=90, max_tokens=600, seed=2)))
    data = b"".join(piece.token for piece in pieces)
    if sampler.tokenizer.get_vocab_size() == 256:
        assert sampler.score(data).losses == pytest.approx([-p.logprob for p in pieces], abs=1e-3)


def test_nothing_costs_nothing_and_any_bytes_have_a_score(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    empty = sampler.score("")
    assert (empty.ids, empty.losses, empty.nats) == ((), (), 0)
    assert math.isnan(empty.bits_per_byte)
    assert sampler.score(b"\xff\x00\xc3").ids == (255, 0, 195)


def test_a_diverged_model_scores_nothing(tmp_path):
    sampler = Sampler(HybridLM(TINY, 1), byte_tokenizer())
    with torch.no_grad():
        sampler.model.lm_head.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="no finite number"):
        sampler.score("abc")


# Share and progress --------------------------------------------------------------------------------------


def test_the_share_changes_when_tokens_come_and_never_which(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    prompt = "To be " * 200
    full = list(sampler.stream(prompt, Sampling(max_tokens=40)))
    assert list(sampler.stream(prompt, Sampling(max_tokens=40), share=0.3)) == full
    assert sampler.score(prompt, share=0.3) == sampler.score(prompt)


def test_a_share_holds_over_prompt_and_tokens(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    list(sampler.stream("x", Sampling(max_tokens=2)))  # compiled
    clock, processor = time.perf_counter(), time.thread_time()
    list(sampler.stream("To be " * 400, Sampling(max_tokens=80), share=0.2))
    used, passed = time.thread_time() - processor, time.perf_counter() - clock
    assert used / passed < 0.22


def test_progress_is_told_by_the_chunk_and_may_end_it(tmp_path):
    sampler = Sampler.open(save(tmp_path / "a", 1))
    told: list[tuple[int, int]] = []
    prompt = "x" * 1100
    list(sampler.stream(prompt, Sampling(max_tokens=2), progress=lambda *at: told.append(at)))
    assert told == [(0, 1100), (512, 1100), (1024, 1100), (1100, 1100)]
    told.clear()
    sampler.score(prompt, progress=lambda *at: told.append(at))
    assert told == [(0, 1100), (512, 1100), (1024, 1100), (1100, 1100)]

    def end(done: int, total: int) -> None:
        if done:
            raise InterruptedError

    for work in (sampler.score, lambda *a, **k: next(sampler.stream(a[0], Sampling(), **k))):
        with pytest.raises(InterruptedError):
            work(prompt, progress=end)


def test_a_sleep_amid_a_prompt_is_left_at_once(tmp_path):
    """At a share this small the sleep after the first chunk would take minutes."""
    sampler = Sampler.open(save(tmp_path / "a", 1))
    told: list[tuple[int, int]] = []

    def end(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        next(sampler.stream("x" * 1100, Sampling(), share=1e-5, progress=end))
    assert told == [(0, 1100)] * 4  # before the chunk, and three times while it sleeps


# Several texts at once -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"temperature": 0.0}, {"temperature": 0.9}, {"repetition_penalty": 1.3}])
def test_texts_written_together_are_what_they_are_alone(sampler: Sampler, how: dict):
    """Pieces and figures, to the last bit: other prompts, seeds, lengths, stop texts, one after the other."""
    wishes = [
        ("To bé", Sampling(max_tokens=30, seed=1, **how), {}),
        ("", Sampling(max_tokens=7, seed=2, **how), {}),
        ("To bé", Sampling(max_tokens=30, seed=3, **how), {"stop": ["e", "n"]}),
        ("To be or not " * 60, Sampling(max_tokens=12, seed=4, **how), {"first_ids": [40, 41]}),
    ]
    alone = [list(sampler.stream(prompt, sampling, **more)) for prompt, sampling, more in wishes]
    texts = sampler.together()
    numbers = [texts.add(prompt, sampling, **more) for prompt, sampling, more in wishes]
    written: dict[int, list[Piece]] = {number: [] for number in numbers}
    while pieces := texts.step():
        for number, piece in pieces:
            written[number].append(piece)
    assert list(written.values()) == alone
    assert [text[-1].end for text in alone].count("max tokens") >= 3


def test_one_that_cannot_be_written_leaves_the_others_alone(sampler: Sampler):
    texts = sampler.together()
    texts.add("x", Sampling(max_tokens=3))
    with pytest.raises(TextError):
        texts.add("\ud800", Sampling(max_tokens=3))
    with pytest.raises(SamplingError):
        texts.add("y", Sampling(max_tokens=3), stop=[""])
    number = texts.add("z", Sampling(max_tokens=3))
    texts.add("removed", Sampling(max_tokens=3))
    texts.remove(number + 1)
    written = []
    while pieces := texts.step():
        written += [number for number, _ in pieces]
    assert sorted(written) == [0] * 3 + [number] * 3


def test_less_than_a_core_is_honoured_by_many_texts(sampler: Sampler):
    def write(share: float) -> float:
        texts = sampler.together(share=share)
        for seed in range(4):
            texts.add("To be", Sampling(max_tokens=40, seed=seed))
        started, used = time.perf_counter(), time.process_time()
        while texts.step():
            pass
        return (time.process_time() - used) / (time.perf_counter() - started)

    write(1.0)
    assert write(0.2) < 0.4
