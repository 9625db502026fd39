"""Texts to learn from, and what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path

from tools.fuzz.making import Maker, as_json, number
from tools.fuzz.targets import Target

_DATA = "nexus_tui/data/"


def read_text(folder: Path, data: bytes) -> None:
    """A text."""
    from nexus_tui.data.corpus import load_corpus

    path = folder / "corpus.txt"
    path.write_bytes(data)
    assert load_corpus(str(path)).data == data


def read_rows(folder: Path, data: bytes) -> None:
    """A JSONL file, to its end."""
    from nexus_tui.data.sources import find_source

    path = folder / "corpus.jsonl"
    path.write_bytes(data)
    for piece in find_source(path, "text", "").pieces(lambda _: None):
        if piece is not None:
            piece.decode()


def make_rows(maker: Maker) -> bytes:
    """Rows whose text is anything."""
    rows = []
    while maker.more and len(rows) < 20:
        rows.append(
            as_json({"text": maker.value(1) if maker.seldom() else maker.of(("a", "é 你", "\0", ""))})
        )
    return b"\n".join(rows)


def read_kept(folder: Path, data: bytes) -> None:
    """What is kept of a corpus: its facts, for files that are there."""
    from nexus_tui.data.cache import ABOUT, cache_folder, kept

    del folder
    place = cache_folder() / "entry"
    place.mkdir(parents=True, exist_ok=True)
    (place / "tokens").write_bytes(b"abcdefgh")
    (place / ABOUT).write_bytes(data)
    kept("entry")


def make_kept(maker: Maker) -> bytes:
    """Facts with values that nobody expects."""
    facts = {"size": number(8), "crc32": lambda m: [m.of((0xAEEF2A50, 0, -1, 1e308, None))]}
    fields = {"version": number(1, 2, 3), "files": lambda m: {m.of(("tokens", "../x")): m.table(facts)}}
    return as_json(maker.table(fields))


def read_index(folder: Path, data: bytes) -> None:
    """The index of weights that are in several files."""
    from nexus_tui.lm.stored import INDEX, stored_weights

    (folder / INDEX).write_bytes(data)
    with stored_weights(folder) as stored:
        assert stored.names


def prepare_index(folder: Path) -> None:
    """The one file that it may name."""
    from tools.fuzz import seeds

    (folder / "a.safetensors").write_bytes(seeds.model_folder()["model.safetensors"])


def make_index(maker: Maker) -> bytes:
    """Files by tensor, that lead anywhere."""
    return as_json({"weight_map": {"x": maker.of(("a.safetensors", "../a", "/etc/passwd", "a\0", ".", ""))}})


TARGETS = (
    Target(
        "a text to learn from",
        (_DATA + "corpus.py",),
        read_text,
        lambda: [b"To be", "é".encode()],
        refusals=("CorpusError",),
    ),
    Target(
        "rows to learn from",
        (_DATA + "sources.py",),
        read_rows,
        lambda: [b'{"text": "To be"}\n{"text": "x"}\n'],
        make_rows,
        ("CorpusError",),
        inputs=20_000,
    ),
    Target(
        "kept corpora",
        (_DATA + "cache.py",),
        read_kept,
        lambda: [
            json.dumps({"version": 1, "files": {"tokens": {"size": 8, "crc32": [0xAEEF2A50]}}}).encode()
        ],
        make_kept,
        inputs=10_000,
    ),
    Target(
        "model.safetensors.index.json",
        ("nexus_tui/lm/stored.py",),
        read_index,
        lambda: [b'{"weight_map": {"x": "a.safetensors"}}'],
        make_index,
        ("ValueError", "FileNotFoundError", "SafetensorError"),
        prepare=prepare_index,
        inputs=20_000,
    ),
)
