"""Corpora of many files and rows, and those too large for memory: the same tokens and batches."""

import errno
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers

from nexus_tui.data import cache, corpus, dataset, tokens, windows
from nexus_tui.data.cache import Cancelled, CorpusError
from nexus_tui.data.corpus import Corpus, check_corpus, load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.data.shuffle import ROUNDS, permuted
from nexus_tui.data.tokenizer import TokenizerError, byte_tokenizer, encode, load_tokenizer, train_bpe

WORDS = "to be or not to be, that is the question: où est l'âme? "
DOCUMENTS = [f"{number}. {WORDS}\n{WORDS * (number % 5)}" for number in range(60)]
END = "<|endoftext|>"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, files that are never too fresh, and what is small is so by far."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr("nexus_tui.data.sources.SETTLED", -60.0)
    monkeypatch.setattr(corpus, "SMALL", 2000)
    monkeypatch.setattr(corpus, "_AT_ONCE", 300)
    return tmp_path / "cache" / "nexus-tui" / "corpora"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_text("\n".join(DOCUMENTS))
    return path


def ending() -> Tokenizer:
    tokenizer = train_bpe(WORDS, 270)
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    return tokenizer


def in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "SMALL", 1 << 30)
        return load_corpus(str(path))


def same(one: Dataset, other: Dataset) -> None:
    assert one.corpus.sha256 == other.corpus.sha256
    for part in ("train", "validation", "holdout"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    assert one.protocol(16) == other.protocol(16)
    for step in (0, 1, 7, 300):
        np.testing.assert_array_equal(one.batch(16, 4, 1, step), other.batch(16, 4, 1, step))


@pytest.mark.parametrize(("kind", "size"), [("byte", 256), ("bpe", 300)])
def test_from_the_cache_as_from_memory(
    text: Path, kept: Path, kind: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PIECE", 500)
    small, large = in_memory(text, monkeypatch), load_corpus(str(text))
    assert isinstance(small.data, bytes) and isinstance(large.data, memoryview)
    assert small.data == large.data
    one = prepare(small, kind, size, 0.2, holdout=0.1)
    other = prepare(large, kind, size, 0.2, holdout=0.1)
    same(one, other)
    assert other.train.dtype == (np.uint8 if kind == "byte" else np.uint16)
    assert one.train.dtype == np.int32
    assert not list(kept.glob(".*"))


def test_a_piece_at_a_time_gives_the_tokens_of_the_whole(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of earlier versions encoded a text in one go: theirs must be the same tokens still."""
    monkeypatch.setattr(tokens, "PIECE", 70)
    prepared = prepare(in_memory(text, monkeypatch), "bpe", 300)
    np.testing.assert_array_equal(prepared.train, encode(prepared.tokenizer, prepared.text.train))


@given(st.text("ab I'd\n 1.,é\u3000", min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_pieces_are_cut_where_tokens_begin_anew(text: str) -> None:
    data = text.encode()
    cut = tokens._last_cut(data)
    assert 0 < cut <= len(data)
    first, rest = data[:cut].decode(), data[cut:].decode()
    if rest and rest[0] in " \n":
        whole = _pretokens(text)
        assert whole == _pretokens(first) + _pretokens(rest)


def _pretokens(text: str) -> list[str]:
    split = train_bpe("", 256).pre_tokenizer.pre_tokenize_str
    return [piece for piece, _ in split(text)] if text else []


def test_what_was_made_once_is_not_made_again(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(load_corpus(str(text)), "bpe", 300)
    for module, name in ((corpus, "_read"), (tokens, "_made"), (dataset, "train_bpe")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("the cache was not used"))
    same(first, prepare(load_corpus(str(text)), "bpe", 300))


def test_a_text_that_changed_is_read_anew(text: Path) -> None:
    before = load_corpus(str(text))
    os.utime(text, ns=(1, 1))
    moved = text.rename(text.with_name("elsewhere.txt"))
    assert load_corpus(str(moved)).entry == before.entry  # the same content
    moved.write_text("\n".join(DOCUMENTS[1:]))
    assert load_corpus(str(moved)).sha256 != before.sha256
    assert bytes(before.data) == "\n".join(DOCUMENTS).encode()  # what is mapped stays as it was


def _shorten(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _list(file: Path) -> None:
    file.write_bytes(b"[1]")


@pytest.mark.parametrize("name", ["text.bin", "tokens.bin", "about.json"])
@pytest.mark.parametrize("harm", [_shorten, _flip, _empty, _list, Path.unlink])
def test_a_damaged_cache_is_made_anew(
    text: Path, kept: Path, name: str, harm: Callable[[Path], None]
) -> None:
    whole = prepare(load_corpus(str(text)), "bpe", 300)
    parts = [np.array(part) for part in (whole.train, whole.validation)]
    for file in kept.glob(f"*/{name}"):
        file.chmod(0o600)
        harm(file)
    again = prepare(load_corpus(str(text)), "bpe", 300)
    for part, found in zip(parts, (again.train, again.validation), strict=True):
        np.testing.assert_array_equal(part, found)


def test_a_full_disk_is_said_and_leaves_nothing(
    text: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, content: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache._File, "write", full)
        with pytest.raises(CorpusError, match=r"too full for the text of .*XDG_CACHE_HOME"):
            load_corpus(str(text))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))  # type: ignore
        with pytest.raises(CorpusError, match=r"It takes about 0\.00 GB"):
            load_corpus(str(text))
    assert not list(kept.glob("*/about.json")) and not list(kept.glob(".*"))


def test_a_cache_that_cannot_be_written_is_said(text: Path, kept: Path) -> None:
    kept.parent.parent.mkdir()
    kept.parent.write_text("a file where the folder would be")
    with pytest.raises(CorpusError, match=r"The cache .* cannot take the text of .*XDG_CACHE_HOME"):
        load_corpus(str(text))


@pytest.mark.parametrize("at", ["reading the corpus", "learning the tokens", "tokenising the corpus"])
def test_it_can_be_left(text: Path, kept: Path, at: str) -> None:
    seen = []

    def leave(what: str, done: int, total: int) -> None:
        seen.append((done, total))
        if what == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        prepare(load_corpus(str(text), progress=leave), "bpe", 300, progress=leave)
    assert not list(kept.glob(".*"))
    assert all(done <= total for done, total in seen)


def test_drafts_of_dead_processes_go(text: Path, kept: Path) -> None:
    (kept / ".4194999-x").mkdir(parents=True)
    (kept / f".{os.getpid()}-x").mkdir()
    load_corpus(str(text))
    assert [folder.name for folder in kept.glob(".*")] == [f".{os.getpid()}-x"]


def test_what_is_kept_is_listed_and_removed(text: Path, kept: Path) -> None:
    prepared = prepare(load_corpus(str(text)), "bpe", 300)
    size = len(prepared.corpus.data) + 2 * sum(map(len, (prepared.train, prepared.validation)))
    assert sum(entry[2] for entry in cache.entries()) == size
    assert cache.clear() == size
    assert not list(kept.iterdir())
    assert prepared.batch(16, 4, 1, 1)[0].shape == (4, 16)  # whoever has it open keeps it


def rows(folder: Path, kind: str) -> Path:
    """The documents as rows of a file, of several files, or of a data set on disk."""
    if kind == "jsonl":
        path = folder / "rows.jsonl"
        path.write_text("".join(json.dumps({"id": 1, "text": text}) + "\n" for text in DOCUMENTS) + "\n")
    elif kind == "jsonl.gz":
        path = folder / "rows.jsonl.gz"
        path.write_bytes(gzip.compress(rows(folder, "jsonl").read_bytes()))
    elif kind == "folder":
        path = folder / "texts"
        for number, text in enumerate(DOCUMENTS):
            place = path / f"{number // 10}" / f"{number:02}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    else:
        path = table(folder, kind)
    return path


def table(folder: Path, kind: str) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = pa.table({"id": list(range(60)), "text": DOCUMENTS})
    if kind == "parquet":
        path = folder / "rows.parquet"
        parquet.write_table(columns, path, row_group_size=25)
    elif kind == "jsonl.zst":
        path = folder / "rows.jsonl.zst"
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(rows(folder, "jsonl").read_bytes())
    else:  # as the `datasets` package saves a DatasetDict
        path, train = folder / "saved", folder / "saved" / "train"
        train.mkdir(parents=True)
        (path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
        (train / "dataset_info.json").write_text("{}")
        names = []
        for number, part in enumerate((columns[:35], columns[35:])):
            names.append({"filename": f"data-0000{number}-of-00002.arrow"})
            with pa.ipc.new_stream(str(train / names[-1]["filename"]), columns.schema) as stream:
                stream.write_table(part, max_chunksize=20)
        (train / "state.json").write_text(json.dumps({"_data_files": names}))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet", "datasets", "folder"])
@pytest.mark.parametrize("size", [2000, 1 << 30])
def test_rows_are_documents(tmp_path: Path, kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SMALL", size)
    monkeypatch.setattr(tokens, "PIECE", 90)
    path = rows(tmp_path, kind)
    least = check_corpus(str(path))
    assert least is None or 10_730 <= least <= len("\n".join(DOCUMENTS).encode())
    found = load_corpus(str(path))
    assert bytes(found.data).decode() == "\n".join(DOCUMENTS)
    assert len(found.separators) == len(DOCUMENTS) - 1
    tokenizer = ending()
    end = tokenizer.token_to_id(END)
    prepared = prepare(found, "bpe", 271, 0.2, tokenizer=tokenizer)
    ids = np.concatenate([prepared.train, prepared.validation])
    assert (ids == end).sum() == len(DOCUMENTS) - 1
    assert b"".join(prepared.token_bytes[id] for id in ids).decode() == "\n".join(DOCUMENTS)
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == END.join(DOCUMENTS)
    # Without an end of text there is a newline between them.
    plain = prepare(found, "byte", validation=0.2)
    assert len(plain.train) + len(plain.validation) == len(found.data)


def test_what_is_written_in_a_document_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"one {END} two")
    (tmp_path / "b.txt").write_text("three")
    tokenizer = ending()
    prepared = prepare(load_corpus(str(tmp_path)), "bpe", 271, 0.1, tokenizer=tokenizer)
    assert (prepared.train == tokenizer.token_to_id(END)).sum() == 1
    assert len(tokenizer.encode(END).ids) == 1  # a prompt may still have it


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"text": "a"}\n{"text": ', r"r\.jsonl, line 2: it is no JSON .*: mend or remove"),
        ("r.jsonl", b'{"text": "a"}\n\n["text"]\n', r"r\.jsonl, line 3: it is no JSON object"),
        (
            "r.jsonl",
            b'{"body": "a", "n": 1}',
            r"line 1: there is no field 'text', but 'body': .*data\.field=body",
        ),
        ("r.jsonl", b'{"n": 1}', r"line 1: there is no field 'text', nor another with text"),
        ("r.jsonl", b'{"text": 1}', r"line 1: its 'text' is no text"),
        ("r.jsonl", b'{"text": "\\ud800"}', r"line 1: it is no JSON"),
        ("r.jsonl", b'{"text": ""}\n\n', r"is empty"),
        ("r.txt.gz", b"no gzip", r"r\.txt\.gz cannot be read"),
        ("r.txt.gz", gzip.compress(b"text " * 999, mtime=0)[:-9], r"r\.txt\.gz cannot be read"),
        ("r.txt", "aé\n".encode() * 9 + b"caf\xe9 ", r"\(at byte 39\), in line 10"),
        ("r.txt", b"cut \xc3", r"\(at byte 4\), in line 1"),
        ("r.parquet", b"PAR1 no table", r"r\.parquet cannot be read"),
        ("r.arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f", r"r\.arrow cannot be read"),
        ("r.txt.zst", b"no zstd", r"r\.txt\.zst cannot be read"),
    ],
)
def test_errors_name_file_and_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if name.endswith((".parquet", ".arrow", ".zst")):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    for load in (load_corpus, check_corpus):
        with pytest.raises(CorpusError, match=message):
            load(str(tmp_path / name))


def test_other_things_than_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="no ordinary file"):
        load_corpus(str(tmp_path / "pipe"))
    with pytest.raises(CorpusError, match="no ordinary file"):
        load_corpus("/dev/zero")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test", "dev"]}')
    with pytest.raises(CorpusError, match="no split named train, but test, dev"):
        load_corpus(str(tmp_path))


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match=r"pip install 'nexus-tui\[corpora\]'"):
        load_corpus(str(tmp_path / "r.parquet"))


def test_a_tokenizer_of_any_origin(tmp_path: Path, text: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = ending()
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.save(str(path))
    with pytest.raises(TokenizerError, match=r"has 271 ids and the model 256: .*model\.vocab_size=271"):
        prepare(load_corpus(str(text)), str(path), 256)
    prepared = prepare(load_corpus(str(text)), str(tmp_path), 271)
    assert b"".join(prepared.token_bytes[id] for id in prepared.train) == bytes(prepared.text.train)
    assert load_tokenizer(path).normalizer is not None  # as it is, to sample with


def test_a_tokenizer_that_changes_the_text_is_refused(text: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    tokenizer.normalizer = normalizers.Prepend("x")
    with pytest.raises(CorpusError, match="gives another text back"):
        prepare(load_corpus(str(text)), "bpe", 257, tokenizer=tokenizer)


def test_tokens_of_a_long_text_are_learned_from_a_sample(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SAMPLE", 3200)
    monkeypatch.setattr(dataset, "SAMPLE_PIECES", 128)
    data = load_corpus(str(text)).data
    pieces = list(dataset._sample(data))
    assert sum(len(piece.encode()) for piece in pieces) <= 3200
    assert len(pieces) == 128 and pieces[0].startswith("0. to be")
    assert str(data[-25:], "utf-8", "ignore") == pieces[-1]


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
@settings(max_examples=50, deadline=None)
def test_a_shuffle_visits_each_place_once(count: int, seed: int) -> None:
    key = np.random.Generator(np.random.Philox(seed)).bit_generator.random_raw(ROUNDS)
    found = permuted(np.arange(count), count, key)
    np.testing.assert_array_equal(np.sort(found), np.arange(count))
    few = np.arange(0, count, 7)
    np.testing.assert_array_equal(permuted(few, count, key), found[few])


def test_a_shuffle_has_no_order_left() -> None:
    """Neighbours come apart as far as in an order drawn at random, and no place is favoured."""
    key = np.random.Generator(np.random.Philox(5)).bit_generator.random_raw(ROUNDS)
    count = 50_000
    found = permuted(np.arange(count), count, key)
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.02
    assert abs(np.abs(np.diff(found)).mean() / (count / 3) - 1) < 0.02
    assert abs((found == np.arange(count)).sum() - 1) < 6


def test_these_are_the_batches_of_large_corpora_in_every_version() -> None:
    ids = np.arange(100_000, dtype=np.int32)
    inputs, targets = windows.batch(ids, 128, 4, 1, 600, "feistel")
    assert inputs[:, 0].tolist() == [1298, 40722, 76818, 38674]
    np.testing.assert_array_equal(targets, inputs + 1)
    assert windows.usual_shuffle(windows.FEW * 128, 128) == "sort"
    assert windows.usual_shuffle((windows.FEW + 1) * 128, 128) == "feistel"
