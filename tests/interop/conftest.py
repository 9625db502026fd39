"""Other tools' files, written by hand."""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.interop.tfevents import crc32c, masked


def state(history: Sequence[Mapping[str, Any]], **fields: Any) -> str:
    """A trainer_state.json."""
    steps = [row["step"] for row in history if isinstance(row.get("step"), int)]
    content = {"best_metric": None, "best_model_checkpoint": None, "global_step": max(steps, default=0)}
    return json.dumps(content | {"log_history": history} | fields)


def evaluations(losses: Mapping[int, float], **scores: Mapping[int, float]) -> list[dict[str, Any]]:
    """Log history: training and evaluation in turn."""
    rows: list[dict[str, Any]] = []
    for step, loss in losses.items():
        rows.append({"step": step, "epoch": step / 100, "loss": loss - 0.1, "learning_rate": 1e-4})
        more = {f"eval_{name}": values[step] for name, values in scores.items()}
        rows.append({"step": step, "epoch": step / 100, "eval_loss": loss, "eval_runtime": 1.0} | more)
    return rows


class Output:
    """A transformers output folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def checkpoint(self, step: int, history: Sequence[Mapping[str, Any]], **fields: Any) -> Path:
        folder = self.folder / f"checkpoint-{step}"
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(f"weights {step:6}".encode())
        (folder / "trainer_state.json").write_text(state(history, global_step=step, **fields))
        return folder

    def run(self, losses: Mapping[int, float], best: int | None = None, **fields: Any) -> None:
        """Checkpoints at every evaluation; the newest names `best`."""
        rows = evaluations(losses)
        for step in losses:
            upto = [row for row in rows if row["step"] <= step]
            last = step == max(losses)
            claim = {
                "best_model_checkpoint": f"./{self.folder.name}/checkpoint-{best}",
                "best_metric": losses.get(best or 0),
            }
            self.checkpoint(step, upto, **(claim if best and last else {}), **fields)


@pytest.fixture
def output(tmp_path: Path) -> Callable[..., Output]:
    return lambda name="out": Output(tmp_path / name)


# TensorBoard ---------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def chunk(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def simple(tag: str, value: float) -> bytes:
    """A Summary.Value with a simple_value."""
    return chunk(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)


def tensor(tag: str, dtype: int, content: bytes = b"", more: bytes = b"") -> bytes:
    """A Summary.Value with a tensor."""
    body = varint(1 << 3) + varint(dtype) + (chunk(4, content) if content else b"") + more
    return chunk(1, tag.encode()) + chunk(8, body)


def event(step: int, *values: bytes, time: float = 1000.0) -> bytes:
    head = varint(1 << 3 | 1) + struct.pack("<d", time + step) + varint(2 << 3) + varint(step)
    return head + chunk(5, b"".join(chunk(1, value) for value in values))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checks = [struct.pack("<I", masked(crc32c(part))) for part in (length, data)]
    return length + checks[0] + data + checks[1]


def write_events(
    folder: Path, rows: Sequence[tuple[int, Mapping[str, float]]], name: str = "events.out.tfevents.1.host"
) -> Path:
    """An event file with scalars as (step, {tag: value})."""
    folder.mkdir(parents=True, exist_ok=True)
    version = varint(1 << 3 | 1) + struct.pack("<d", 1.0) + chunk(3, b"brain.Event:2")
    records = [record(event(step, *(simple(t, v) for t, v in tags.items()))) for step, tags in rows]
    path = folder / name
    path.write_bytes(record(version) + b"".join(records))
    return path
