"""Tokenizers: any text goes through unchanged, whoever reads tokenizer.json."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from nexus_tui.data.corpus import Corpus
from nexus_tui.data.tokenizer import (
    StreamDecoder,
    TokenizerError,
    byte_tokenizer,
    decode_bytes,
    encode,
    load_tokenizer,
    token_bytes,
    train_bpe,
)
from nexus_tui.data.windows import split

AWKWARD = [
    "",
    "\0",
    "\r\n \t\n\n  ",
    "👩‍👩‍👧‍👦🇫🇷 naïve",
    "\u0301lone",
    "\ufeff\u200b\u2028",
    "\U0010ffff\uffff",
    "Ġ Ċ <s> [UNK] <|endoftext|>",
]


@pytest.fixture(scope="module")
def corpus(shakespeare: Corpus) -> bytes:
    return shakespeare.data


@pytest.fixture(scope="module")
def bpe(corpus: bytes) -> Tokenizer:
    return train_bpe(split(corpus).train.decode(), 1000)


@pytest.fixture(scope="module", params=["byte", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return byte_tokenizer() if request.param == "byte" else request.getfixturevalue("bpe")


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert decode_bytes(tokenizer, encode(tokenizer, text)) == text.encode()
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@given(text=st.text())
def test_any_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    ids = encode(tokenizer, text)
    assert ids.dtype == np.int32
    assert decode_bytes(tokenizer, ids) == text.encode()
    assert encode(tokenizer, text.encode()).tolist() == ids.tolist() == tokenizer.encode(text).ids


def test_the_corpus_round_trips(tokenizer: Tokenizer, corpus: bytes) -> None:
    assert decode_bytes(tokenizer, encode(tokenizer, corpus)) == corpus


def test_a_byte_is_its_id() -> None:
    tokenizer = byte_tokenizer()
    assert token_bytes(tokenizer) == [bytes([id]) for id in range(256)]
    assert encode(tokenizer, bytes(range(256))).tolist() == list(range(256))


def test_bpe_compresses_the_corpus(bpe: Tokenizer, corpus: bytes) -> None:
    assert bpe.get_vocab_size() == 1000
    assert len(corpus) / len(encode(bpe, corpus)) >= 2.32


def test_bpe_is_the_same_in_every_process(bpe: Tokenizer, corpus: bytes, tmp_path: Path) -> None:
    text, saved = tmp_path / "train.txt", tmp_path / "tokenizer.json"
    text.write_bytes(split(corpus).train)
    script = (
        "import sys; from pathlib import Path; from nexus_tui.data.tokenizer import train_bpe;"
        "train_bpe(Path(sys.argv[1]).read_bytes().decode()).save(sys.argv[2])"
    )
    # One thread here, several in this process: counting words in parallel must not matter.
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script, str(text), str(saved)], check=True, env=environment)
    assert load_tokenizer(saved).to_str() == bpe.to_str()


def test_transformers_reads_tokenizer_json(tokenizer: Tokenizer, corpus: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(path))
    text = corpus[:5000].decode() + "".join(AWKWARD)
    ids = encode(tokenizer, text).tolist()
    assert theirs(text)["input_ids"] == ids
    assert theirs.decode(ids) == text
    assert encode(load_tokenizer(path), text).tolist() == ids


def test_token_bytes_of_special_tokens() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens(["<é>"])
    assert token_bytes(tokenizer)[256] == "<é>".encode()


def test_what_is_no_byte_level_tokenizer_is_refused(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"▁king": 0}, unk_token="?"))
    with pytest.raises(TokenizerError, match="not byte-level"):
        token_bytes(words)
    with pytest.raises(TokenizerError, match="no token with id 0"):
        token_bytes(Tokenizer(models.WordLevel({"king": 1}, unk_token="?")))
    with pytest.raises(TokenizerError, match="at least 256"):
        train_bpe("text", 200)
    with pytest.raises(TokenizerError, match="no tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TokenizerError, match=r"not a tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_lone_surrogates_are_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode(tokenizer, "\ud800")


@given(text=st.text())
@settings(max_examples=50)
def test_streaming_gives_the_text_and_only_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    decoder = StreamDecoder(tokenizer)
    shown = ""
    for id in encode(tokenizer, text).tolist():
        shown += decoder.push(id)
        assert text.startswith(shown)
    assert shown == text
    assert decoder.finish() == ""


@given(st.binary())
def test_streaming_bytes_that_are_no_text(data: bytes) -> None:
    decoder = StreamDecoder(byte_tokenizer())
    shown = "".join(decoder.push(byte) for byte in data) + decoder.finish()
    assert shown == data.decode(errors="replace")


def test_an_unfinished_character_is_held_back() -> None:
    decoder = StreamDecoder(byte_tokenizer())
    assert [decoder.push(byte) for byte in "é!".encode()] == ["", "é", "!"]
    assert decoder.push(0xF0) == ""
    assert decoder.finish() == "\ufffd"
    assert decoder.push(ord("a")) == "a"
