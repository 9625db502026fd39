"""Reading a given text: what a model thinks of every token of it."""

import math
from pathlib import Path

import pytest

from nexus_tui.data.tokenizer import train_bpe
from nexus_tui.lm.generation import Sampling
from nexus_tui.training.sampling import Sampler
from tests.training.test_sampling import TINY, save

TEXT = "To be, or nöt to be:\x1b[31m that is the question\n" * 30


@pytest.fixture(autouse=True)
def forget() -> None:
    Sampler._open.clear()


def test_it_costs_what_the_score_says(tmp_path: Path) -> None:
    sampler = Sampler.open(save(tmp_path / "a", 1))
    pieces, scored = list(sampler.read(TEXT)), sampler.score(TEXT)
    assert tuple(piece.id for piece in pieces) == scored.ids
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [-piece.logprob for piece in pieces] == pytest.approx(scored.losses, abs=1e-5)
    for piece in pieces:
        assert all(
            a.logprob >= b.logprob for a, b in zip(piece.alternatives, piece.alternatives[1:], strict=False)
        )
        if piece.rank <= 10:
            assert piece.alternatives[piece.rank - 1] == (piece.id, piece.logprob)
        assert 0 <= piece.entropy <= math.log(256) + 1e-9


def test_it_thinks_of_a_written_text_what_it_thought_when_it_wrote_it(tmp_path: Path) -> None:
    sampler = Sampler.open(save(tmp_path / "a", 1))
    written = list(sampler.stream("", Sampling(max_tokens=40, seed=3)))
    read = list(sampler.read(b"".join(piece.token for piece in written)))
    assert [piece.position for piece in read] == [piece.position for piece in written]
    assert [piece.rank for piece in read] == [piece.rank for piece in written]
    assert [piece.logprob for piece in read] == pytest.approx([piece.logprob for piece in written], abs=1e-5)


def test_any_bytes_byte_by_byte_and_only_text_otherwise(tmp_path: Path) -> None:
    sampler = Sampler.open(save(tmp_path / "a", 1))
    assert [piece.token for piece in sampler.read(b"\xff\x00\xe6")] == [b"\xff", b"\x00", b"\xe6"]
    assert "".join(piece.text for piece in sampler.read(b"a\xe6")) == "a�"
    tokenizer = train_bpe(TEXT, 270)
    config = TINY.__class__(**{**TINY.__dict__, "vocab_size": tokenizer.get_vocab_size()})
    other = Sampler.open(save(tmp_path / "b", 1, config=config, tokenizer=tokenizer))
    assert len(list(other.read(TEXT))) < len(TEXT.encode())
    with pytest.raises(ValueError, match="no UTF-8"):
        list(other.read(b"\xff"))
    assert "".join(piece.text for piece in other.read(TEXT)) == TEXT
    assert list(other.read("")) == []


def test_its_reader_may_end_it(tmp_path: Path) -> None:
    sampler = Sampler.open(save(tmp_path / "a", 1))

    class EnoughError(Exception):
        pass

    def progress(done: int, total: int) -> None:
        assert total == len(TEXT.encode())
        if done:
            raise EnoughError

    pieces = sampler.read(TEXT, progress=progress)
    assert [next(pieces).token for _ in range(512)] == [bytes([byte]) for byte in TEXT.encode()[:512]]
    with pytest.raises(EnoughError):
        next(pieces)
