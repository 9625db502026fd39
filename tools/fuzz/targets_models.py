"""The files of a model folder, and what is kept of its analysis."""

from __future__ import annotations

import functools
import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from tools.fuzz import seeds
from tools.fuzz.making import TEXTS, Maker, as_json, number, one_of
from tools.fuzz.targets import Target

_LM, _DATA = "nexus_tui/lm/", "nexus_tui/data/"


def prepare_model(folder: Path) -> None:
    """A whole model folder, of which one file is then replaced."""
    for name, data in seeds.model_folder().items():
        (folder / name).write_bytes(data)


def read_config(folder: Path, data: bytes) -> None:
    """config.json, and the model that it describes, of which the weights are another's."""
    from nexus_tui.lm.pretrained import load_model

    (folder / "config.json").write_bytes(data)
    load_model(folder)


def make_config(maker: Maker) -> bytes:
    """Every field, with values that nobody expects."""
    config = json.loads(seeds.model_folder()["config.json"])
    return as_json(
        maker.table({key: one_of(value, value, value, maker.value()) for key, value in config.items()})
    )


def read_weights(folder: Path, data: bytes) -> None:
    """model.safetensors, into a model."""
    from nexus_tui.lm.pretrained import load_model

    (folder / "model.safetensors").write_bytes(data)
    load_model(folder)


def make_tensors(maker: Maker, name: str = "model.safetensors") -> bytes:
    """A header that claims anything, over the data of a model."""
    whole = seeds.model_folder()[name] if name in seeds.model_folder() else optimizer_seeds()[0]
    (size,) = struct.unpack_from("<Q", whole)
    header, data = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    for name in list(header):
        if name != "__metadata__" and maker.below(6) == 5:
            entry = header[name]
            entry[maker.of(("dtype", "shape", "data_offsets", "more"))] = maker.of(
                (
                    "F16",
                    "BF16",
                    "F64",
                    "I64",
                    "BOOL",
                    "F8_E4M3",
                    "X",
                    [],
                    [0],
                    [1 << 62, 2],
                    [-1],
                    [8, 8],
                    [0, 4],
                    [4, 0],
                    [0, 1 << 63],
                    [16, 4],
                    None,
                    {"a": 1},
                    entry.get("shape"),
                )
            )
        if name != "__metadata__" and maker.below(12) == 11:
            header[maker.of(TEXTS)] = header[name] if maker.seldom() else header.pop(name)
    if maker.seldom():
        header["__metadata__"] = maker.value()
    if maker.seldom():
        at = maker.below(max(1, len(data) - 4))
        data = data[:at] + maker.of((b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"")) + data[at + 4 :]
    raw = as_json(header)
    claimed = maker.of((len(raw),) * 6 + (0, 1 << 62, 99_999_999, len(raw) + 1))
    return struct.pack("<Q", claimed) + raw + data


def read_optimizer(folder: Path, data: bytes) -> None:
    """optimizer.safetensors, as a training that is resumed reads it."""
    from nexus_tui.config import OptimizerConfig
    from nexus_tui.lm.pretrained import load_model
    from nexus_tui.training.optimizer import adamw, load_state_tensors, read_state_tensors

    (folder / "optimizer.safetensors").write_bytes(data)
    model = load_model(folder)
    tensors = read_state_tensors(model, folder / "optimizer.safetensors")
    load_state_tensors(model, adamw(model, OptimizerConfig()), tensors)


@functools.cache
def optimizer_seeds() -> list[bytes]:
    """The state of a tiny model after a step."""
    import tempfile

    import torch
    from safetensors.torch import save_file

    from nexus_tui.config import OptimizerConfig
    from nexus_tui.lm.pretrained import load_model
    from nexus_tui.training.optimizer import adamw, state_tensors

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_model(folder)
        model = load_model(folder)
        optimizer = adamw(model, OptimizerConfig())
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        save_file(state_tensors(model, optimizer), folder / "o")
        return [(folder / "o").read_bytes()]


def read_state(folder: Path, data: bytes) -> None:
    """state.json, as a training that is resumed reads it."""
    from nexus_tui.training.learner import read_state

    (folder / "state.json").write_bytes(data)
    read_state(folder / "state.json")


def make_state(maker: Maker) -> bytes:
    """Its fields, with values that nobody expects."""
    fields = {"step": number(1), "tokens": number(9), "rate_scale": number(1.0), "planned_steps": number(9)}
    return as_json(maker.value() if maker.seldom() else maker.table(fields))


def read_tokenizer(folder: Path, data: bytes) -> None:
    """tokenizer.json: the bytes of every id, and a text there and back."""
    from nexus_tui.data.tokenizer import StreamDecoder, decode_bytes, encode, load_tokenizer, token_bytes

    path = folder / "tokenizer.json"
    path.write_bytes(data)
    tokenizer = load_tokenizer(path)
    tokens = token_bytes(tokenizer)
    stream = StreamDecoder(tokenizer)
    for id in range(min(len(tokens), 300)):
        stream.push(id)
    stream.finish()
    for text in ("To be, or not", "\n", "é 你好 👩‍👩‍👧\0", ""):
        decode_bytes(tokenizer, encode(tokenizer, text))


def make_tokenizer(maker: Maker) -> bytes:
    """A tokenizer with parts that nobody expects."""
    content = json.loads(seeds.bpe() if maker.below(2) else seeds.model_folder()["tokenizer.json"])
    for _ in range(1 + maker.below(3)):
        part = maker.of(tuple(content))
        content[part] = maker.of(_PARTS) if maker.below(2) else maker.value()
    model = content.get("model")
    if isinstance(model, dict):
        for _ in range(maker.below(3)):
            key = maker.of((*model, "more"))
            model[key] = maker.of(_MODEL) if maker.below(2) else maker.value()
        vocabulary = model.get("vocab")
        if isinstance(vocabulary, dict) and maker.below(3) == 2:
            vocabulary[maker.of(TEXTS)] = maker.of((0, 1, 255, 256, 300, 2**32 - 1, 2**31, -1, 10**6))
            if maker.seldom():
                vocabulary.pop(next(iter(vocabulary)))
    return as_json(content)


_ADDED = {
    "id": 256,
    "content": "<end>",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}
_PARTS = (
    None,
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
    {"type": "Split", "pattern": {"Regex": "(?<=("}, "behavior": "Isolated", "invert": False},
    {"type": "Sequence", "pretokenizers": []},
    {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": ""}, "content": "xx"}]},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 1000},
    {"type": "NFC"},
    {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    {"type": "Lowercase"},
    {"type": "Prepend", "prepend": "x" * 100},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
    {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 5},
    {
        "strategy": {"Fixed": 1 << 40},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "x",
    },
    [_ADDED],
    [_ADDED | {"id": 0}],
    [_ADDED | {"id": 4_000_000_000}],
    [_ADDED | {"content": ""}],
    [_ADDED | {"content": "\x1b[2J"}],
    [_ADDED, _ADDED],
    "2.0",
)
_MODEL = (
    [],
    [["T", "o"]],
    [["T", "o"]] * 3,
    ["T o", "To \u0120"],
    [["x", "y"]],
    [["", ""]],
    {},
    {"a": 0},
    {"a": 0, "b": 0},
    {"a": 4_000_000_000},
    "BPE",
    "WordLevel",
    "Unigram",
    "WordPiece",
    0.5,
    2.0,
    -1.0,
    "",
    "<unk>",
    True,
)


def read_kept(folder: Path, data: bytes) -> None:
    """A kept result of an analysis, unpacked as each kind of result."""
    from nexus_tui.analysis import average, inside, token_losses
    from nexus_tui.analysis.cache import Entry

    path = folder / "kept.npz"
    path.write_bytes(data)
    arrays = Entry(path, "k").read()
    if arrays is None:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(data), "more comes of it than is in it"
    for unpack in (inside.unpack, average._unpack, lambda a: token_losses._unpacked(a, "p")):
        try:
            unpack(arrays)
        except (KeyError, TypeError, ValueError, IndexError):
            continue


def kept(**arrays: np.ndarray) -> bytes:
    """A kept result."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {"key": np.frombuffer(b"k", np.uint8), **arrays}.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), seeds.npy(array))
    return file.getvalue()


def kept_seeds() -> list[bytes]:
    """A result of each kind."""
    return [
        kept(losses=np.ones(3, np.float32), bits_per_byte=np.array([1.0])),
        kept(
            losses=np.ones((2, 3), np.float32),
            tokens=np.zeros(7, np.int32),
            vocabulary=np.frombuffer(b"ab", np.uint8),
            sizes=np.ones(2, np.int32),
        ),
        kept(
            read=np.array([1.0, 2, 3]),
            stream=np.ones((1, 2)),
            mamba=np.zeros((1, 13)),
            attention=np.zeros((0, 3)),
        ),
    ]


def make_kept(maker: Maker) -> bytes:
    """Arrays by known names, of shapes and values that nobody expects."""
    shapes = ((), (0,), (1,), (3,), (1, 2), (2, 3), (1, 13), (3, 5), (0, 0))
    values = (0, 1, -1, 7, 1e308, float("nan"), float("inf"), 2**31 - 1)
    kinds = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_, np.complex64)
    arrays = {}
    for name in maker.of(
        (
            ("losses", "bits_per_byte"),
            ("losses", "tokens", "vocabulary", "sizes"),
            ("read", "stream", "mamba", "attention"),
        )
    ):
        with np.errstate(all="ignore"):
            arrays[name] = np.full(maker.of(shapes), maker.of(values)).astype(maker.of(kinds))
    return kept(**arrays)


def _of(name: str) -> list[bytes]:
    return [seeds.model_folder()[name]]


TARGETS = (
    Target(
        "config.json",
        (_LM + "config.py", _LM + "pretrained.py"),
        read_config,
        lambda: _of("config.json"),
        make_config,
        ("ValueError", "FileNotFoundError"),
        prepare=prepare_model,
        inputs=6_000,
    ),
    Target(
        "model.safetensors",
        (_LM + "pretrained.py",),
        read_weights,
        lambda: _of("model.safetensors"),
        make_tensors,
        ("ValueError", "FileNotFoundError"),
        prepare=prepare_model,
        inputs=4_000,
    ),
    Target(
        "optimizer.safetensors",
        ("nexus_tui/training/optimizer.py",),
        read_optimizer,
        optimizer_seeds,
        lambda maker: make_tensors(maker, "optimizer.safetensors"),
        ("ValueError",),
        prepare=prepare_model,
        inputs=2_000,
    ),
    Target(
        "state.json",
        ("nexus_tui/training/learner.py",),
        read_state,
        lambda: _of("state.json"),
        make_state,
        ("ValueError",),
        inputs=150_000,
    ),
    Target(
        "tokenizer.json",
        (_DATA + "tokenizer.py",),
        read_tokenizer,
        lambda: [*_of("tokenizer.json"), seeds.bpe()],
        make_tokenizer,
        ("TokenizerError",),
        inputs=20_000,
    ),
    Target(
        "kept analysis",
        ("nexus_tui/analysis/cache.py", "nexus_tui/analysis/inside.py", "nexus_tui/analysis/token_losses.py"),
        read_kept,
        kept_seeds,
        make_kept,
        inputs=20_000,
    ),
)
