"""Other tools' files."""

from __future__ import annotations

import shutil
import struct
import zlib
from contextlib import suppress
from pathlib import Path

from nexus_tui.interop.opening import open_run
from tools.fuzz import seeds
from tools.fuzz.making import NUMBERS, TEXTS, Maker, as_json, listed, number, text
from tools.fuzz.targets import Target

_INTEROP = "nexus_tui/interop/"


def read_events(folder: Path, data: bytes) -> None:
    """An event file in a folder, opened as a run and looked at."""
    _looked(folder, "events.out.tfevents.1700000000.host", data)


def make_events(maker: Maker) -> bytes:
    """Records whose check sums are right, with fields that nobody expects."""
    records = []
    while maker.more and len(records) < 20:
        tag = maker.of(("loss", "val/loss", "step", *TEXTS[:20])).encode("utf-8", "surrogatepass")[:120]
        value = b"\x0a" + _varint(len(tag)) + tag
        if maker.below(2):
            value += b"\x15" + _float(maker)
        else:
            kind = maker.of((1, 2, 3, 9, 14, 19, 7, 1 << 40))
            content = maker.of((_float(maker), struct.pack("<d", 1.5), b"\0\0", b"", b"abc"))
            field = maker.of((0x22, 0x2A, 0x32, 0x3A, 0x52))
            tensor = b"\x08" + _varint(kind) + bytes([field]) + _varint(len(content)) + content
            value += (
                b"\x42" + _varint(len(tensor) + (maker.of(NUMBERS[:2]) if maker.seldom() else 0)) + tensor
            )
        summary = b"\x0a" + _varint(len(value)) + value
        step = maker.of((1, 2, 3, 0, (1 << 53) - 1, 1 << 53, (1 << 64) - 1))
        time = maker.of((1.7e9, 0.0, -1e300, 1e300, float("nan"), float("inf")))
        records.append(
            b"\x09"
            + struct.pack("<d", time)
            + b"\x10"
            + _varint(step)
            + b"\x2a"
            + _varint(len(summary))
            + summary
        )
    return b"".join(map(seeds.record, records))


def _float(maker: Maker) -> bytes:
    with suppress(OverflowError, struct.error):
        return struct.pack("<f", maker.of(NUMBERS))
    return struct.pack("<f", 1.0)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def read_trainer(folder: Path, data: bytes) -> None:
    """A Trainer's output folder, opened as a run and looked at."""
    place = folder / "checkpoint-30"
    place.mkdir(exist_ok=True)
    _looked(folder, "checkpoint-30/trainer_state.json", data)


def make_trainer(maker: Maker) -> bytes:
    """A history with values that nobody expects."""
    fields = {
        "step": number(10, 20, 30),
        "epoch": number(1, 2),
        "loss": number(2.5),
        "learning_rate": number(1e-4),
        "grad_norm": number(1.0),
    }
    scores = {
        "step": number(10, 20, 30),
        "eval_loss": number(2.0, 1.6),
        "eval_accuracy": number(0.5),
        "eval_runtime": number(1.0),
        "train_runtime": number(1.0),
    }
    history = listed(lambda m: m.table(scores if m.below(2) else fields), 12)
    return as_json(
        maker.table(
            {
                "log_history": history,
                "best_metric": number(1.6),
                "global_step": number(30),
                "max_steps": number(30),
                "best_model_checkpoint": text("./out/checkpoint-30", "..\\checkpoint-20", "checkpoint-"),
                "best_global_step": number(30),
                "save_steps": number(10),
            }
        )
    )


def read_table(folder: Path, data: bytes) -> None:
    """A table of the kind that the first byte says, opened as a run and looked at."""
    ending = (".csv", ".tsv", ".jsonl", ".md", ".ndjson")[data[0] % 5 if data else 0]
    path = folder / f"table{ending}"
    path.write_bytes(data[1:])
    try:
        _look(path, data)
    finally:
        path.unlink()


def make_table(maker: Maker) -> bytes:
    """Rows of a table with cells that nobody expects."""
    names = ("step", "loss", "val_loss", "lr", "note", *TEXTS[:12])
    head = [maker.of(names) for _ in range(2 + maker.below(4))]
    kind = maker.below(4)
    usual = ("1", "2", "3", "2.5", "1,400", "**2.63** ✓", "1_0", "--", "٣")
    cells = (*usual, *map(_short, NUMBERS), *TEXTS)
    rows = [[maker.of(cells) for _ in range(maker.below(7))] for _ in range(maker.below(12))]
    if kind == 2:
        lines = [
            as_json(dict(zip(head, [maker.value(1) for _ in head], strict=True))).decode("utf-8", "replace")
            for _ in rows
        ]
        return b"\x02" + "\n".join(lines).encode()
    if kind == 3:
        lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
        return b"\x03" + "\n".join(lines).encode("utf-8", "surrogatepass")
    sign = maker.of((",", ";", "\t", "|"))
    lines = [sign.join(row) for row in [head, *rows]]
    return bytes([kind]) + "\n".join(lines).encode("utf-8", "surrogatepass")


def _short(value: float) -> str:
    return str(value)[:40]


def read_lightning(folder: Path, data: bytes) -> None:
    """A Lightning folder: metrics.csv, the names of checkpoint files, and their listing."""
    listing, _, names = data.partition(b"\0")
    place = folder / "checkpoints"
    place.mkdir(exist_ok=True)
    (folder / "metrics.csv").write_text("step,loss,val_loss\n1,3,\n2,2.5,2.6\n3,2.4,2.5\n")
    (place / "best_k_models.yaml").write_bytes(listing)
    for name in names.split(b"\n")[:8]:
        text_ = name[:200].decode("utf-8", "surrogateescape").replace("/", "_").replace("\0", "")
        with suppress(OSError):
            (place / f"{text_}.ckpt").write_bytes(b"pickle")
    try:
        _look(folder, data)
    finally:
        shutil.rmtree(place)


def make_lightning(maker: Maker) -> bytes:
    """Names with scores, and a listing of some of them."""
    names = [
        f"epoch={maker.below(3)}-step={maker.of(('1', '2', '3', '-1', '1e3', '9' * 400, '2.5'))}"
        f"-{maker.of(('val_loss', 'a/b', 'acc', 'x y', 'v.l'))}"
        f"={maker.of(('2.5', '1e999', '-0', '2.50', '9' * 99))}"
        for _ in range(maker.below(6))
    ]
    listing = "\n".join(
        f"{name}.ckpt: {maker.of(('2.5', 'nan', '!!python/object:os.system', '1e999', '[1'))}"
        for name in names
    )
    return listing.encode() + b"\0" + "\n".join(names).encode()


def _looked(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    _look(folder, data)


def _look(path: Path, data: bytes) -> None:
    """Open a run, and look at every eighth as closely as one can: that takes twenty times as long."""
    from tools.fuzz.looking import look

    run = open_run(path)
    assert run.summary.known
    if not zlib.crc32(data) & 7:
        look(run)


_EVENT_SEED = [seeds.event_file()]
TARGETS = (
    Target(
        "TensorBoard event file",
        (_INTEROP + "tfevents.py", _INTEROP + "tensorboard.py", _INTEROP + "scalars.py"),
        read_events,
        lambda: _EVENT_SEED,
        make_events,
        ("RunError",),
        inputs=3_000,
    ),
    Target(
        "trainer_state.json",
        (_INTEROP + "trainer_state.py", _INTEROP + "trainer_events.py", _INTEROP + "transformers.py"),
        read_trainer,
        lambda: [seeds.trainer_state()],
        make_trainer,
        ("RunError",),
        inputs=3_000,
    ),
    Target(
        "CSV and other tables",
        (_INTEROP + "table.py", _INTEROP + "columns.py", _INTEROP + "files.py"),
        read_table,
        lambda: [
            b"\x00step,loss,val_loss\n1,3.5,\n2,3.0,3.1\n",
            b"\x03| step | loss |\n|---|---|\n| 1 | 2.5 |\n",
            b'\x02{"step": 1, "loss": 2.5}\n{"step": 2, "val_loss": null}\n',
            b"\x00step;loss\n1;2,5\n",
        ],
        make_table,
        ("RunError",),
        inputs=8_000,
    ),
    Target(
        "Lightning's folder",
        (_INTEROP + "lightning.py",),
        read_lightning,
        lambda: [b"/x/epoch=1-step=2-val_loss=2.60.ckpt: 2.6\n\0epoch=1-step=2-val_loss=2.60\nlast"],
        make_lightning,
        ("RunError",),
        inputs=2_000,
    ),
)
