"""Kept results: of exactly their key, or none; whatever lies in the file's place."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexus_tui.analysis.cache import Arrays, Entry, entry, remembered, weights_key
from nexus_tui.runs.checkpoints import CheckpointError, open_checkpoint, save_checkpoint

WEIGHTS, PROTOCOL = "ab" * 32, "0123456789abcdef"
NUMBERS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def place(tmp_path: Path) -> Entry:
    return entry(tmp_path, "tokens", 1, WEIGHTS, PROTOCOL)


def npy(array: np.ndarray, **header: Any) -> bytes:
    """A .npy file; `header` replaces what it says of the array."""
    file = io.BytesIO()
    told = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    np.lib.format.write_array_header_1_0(file, told)
    return file.getvalue() + array.tobytes()


def forge(place: Entry, data: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """A file of the right key whose one array is `data`."""
    place.path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place.path, "w", compression) as archive:
        archive.writestr("key.npy", npy(np.frombuffer(place.key.encode(), np.uint8)))
        archive.writestr("numbers.npy", data)


def test_what_is_written_is_read_and_nothing_else_is_left(place: Entry) -> None:
    assert place.read() is None
    place.write({"numbers": NUMBERS, "count": np.int64(3), "transposed": NUMBERS.T})
    found = place.read()
    assert found is not None and set(found) == {"numbers", "count", "transposed"}
    assert found["numbers"].dtype == np.float32
    assert np.array_equal(found["numbers"], NUMBERS) and np.array_equal(found["transposed"], NUMBERS.T)
    found["numbers"][0] = 1  # it is the reader's own
    assert list(place.path.parent.iterdir()) == [place.path]
    assert place.path.name == f"tokens-{WEIGHTS[:16]}-{PROTOCOL}.npz"
    assert place.path.parent.parts[-2:] == ("evaluations", "analysis")
    forge(place, npy(NUMBERS))  # as the tests below do, in order that they fail for their own reasons
    assert np.array_equal(place.read()["numbers"], NUMBERS)


def test_another_model_text_kind_or_version_is_another_result(tmp_path: Path, place: Entry) -> None:
    place.write({"numbers": NUMBERS})
    others = [
        entry(tmp_path, "tokens", 2, WEIGHTS, PROTOCOL),
        entry(tmp_path, "tokens", 1, WEIGHTS[:-1] + "c", PROTOCOL),  # the same in the file's name
        entry(tmp_path, "tokens", 1, WEIGHTS, PROTOCOL[::-1]),
        entry(tmp_path, "inside", 1, WEIGHTS, PROTOCOL),
    ]
    assert [other.path == place.path for other in others] == [True, True, False, False]
    for other in others:
        assert other.read() is None
        other.path.write_bytes(place.path.read_bytes())
        assert other.read() is None


def test_a_protocol_that_is_no_hash_names_no_file_elsewhere(tmp_path: Path) -> None:
    for protocol in ("../../../../x", "", "a/b", "\0", "0123456789abcde\n"):
        place = entry(tmp_path, "tokens", 1, WEIGHTS, protocol)
        assert place.path.parent == tmp_path / "evaluations" / "analysis"
        place.write({"numbers": NUMBERS})
        assert place.read() is not None


def test_a_file_cut_off_anywhere_is_none(place: Entry) -> None:
    place.write({"numbers": NUMBERS})
    whole = place.path.read_bytes()
    for length in range(0, len(whole), 7):
        place.path.write_bytes(whole[:length])
        assert place.read() is None


def test_a_flipped_bit_is_noticed(place: Entry) -> None:
    place.write({"numbers": NUMBERS})
    whole = place.path.read_bytes()
    for at in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        place.path.write_bytes(damaged)
        found = place.read()  # some bits, such as a date's, mean nothing
        assert found is None or "numbers" not in found or np.array_equal(found["numbers"], NUMBERS)


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_a_pickle_is_never_opened(place: Entry) -> None:
    file = io.BytesIO()
    trapped = np.empty(1, object)
    trapped[0] = _Trap()
    np.lib.format.write_array(file, trapped, allow_pickle=True)
    forge(place, file.getvalue())
    assert place.read() is None


@pytest.mark.parametrize(
    "header",
    [
        {"shape": (1 << 60,)},
        {"shape": (1 << 31, 1 << 31, 0)},
        {"shape": (-3, -4)},
        {"shape": (3,)},
        {"descr": "<f8"},
        {"descr": "|V4"},
        {"descr": "|O"},
        {"descr": "<M8[s]"},
        {"descr": [("a", "<f4")]},
        {"fortran_order": True},
    ],
)
def test_a_header_that_lies_is_not_believed(place: Entry, header: dict[str, Any]) -> None:
    forge(place, npy(NUMBERS, **header))
    assert place.read() is None


def test_a_header_of_nonsense_is_none(place: Entry) -> None:
    for text in (b"(" * 5000, b"{" * 200, b"__import__('os')._exit(1)", b"{'descr': 1}", b"\xff" * 50, b""):
        data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        forge(place, data + NUMBERS.tobytes())
        assert place.read() is None
    forge(place, b"\x93NUMPY\x02\x00" + bytes(60000))
    assert place.read() is None


def test_an_archive_larger_than_its_file_is_not_unpacked(place: Entry) -> None:
    forge(place, npy(np.zeros(1 << 24, np.uint8)), zipfile.ZIP_DEFLATED)
    assert place.path.stat().st_size < 1 << 18
    assert place.read() is None


def test_places_that_are_no_file_are_none_and_do_not_hang(place: Entry) -> None:
    place.path.parent.mkdir(parents=True)
    os.mkfifo(place.path)
    assert place.read() is None
    place.path.unlink()
    place.path.symlink_to("/dev/zero")
    assert place.read() is None
    place.path.unlink()
    place.path.mkdir()
    assert place.read() is None
    place.write({"numbers": NUMBERS})  # cannot, and says nothing
    assert list(place.path.parent.iterdir()) == [place.path]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, place: Entry) -> None:
    (tmp_path / "evaluations").write_text("a file")
    place.write({"numbers": NUMBERS})
    assert place.read() is None


def test_remembered_computes_once_and_again_when_the_file_is_no_result(place: Entry) -> None:
    computed: list[int] = []

    def compute() -> float:
        computed.append(1)
        return 2.5

    def unpack(arrays: Arrays) -> float:
        if arrays["value"].dtype != np.float64 or arrays["value"].shape != ():
            raise ValueError("not as packed")
        return float(arrays["value"])

    def ask() -> float:
        return remembered(place, unpack, compute, lambda value: {"value": np.float64(value)})

    assert [ask(), ask(), len(computed)] == [2.5, 2.5, 1]
    for wrong in ({"value": np.float32(9)}, {"value": np.ones(2)}, {"other": np.float64(9)}, {}):
        place.write(wrong)
        assert ask() == 2.5
    assert len(computed) == 5
    assert ask() == 2.5 and len(computed) == 5


def test_work_that_was_cancelled_leaves_nothing(place: Entry) -> None:
    def compute() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remembered(place, lambda arrays: 1.0, compute, lambda value: {})
    assert not place.path.exists()


def test_the_key_of_a_model_is_of_its_files_as_they_are(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        for name in ("model.safetensors", "config.json", "tokenizer.json", "optimizer.safetensors"):
            (folder / name).write_text(name)

    saved = save_checkpoint(tmp_path / "step_1", 1, write)
    key = weights_key(saved)
    assert key.startswith(saved.sha256)
    assert weights_key(open_checkpoint(saved.path)) == key
    (saved.path / "config.json").write_text("config.j5on")
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        weights_key(open_checkpoint(saved.path))
