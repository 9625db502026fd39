"""Valid files to begin from: those of a tiny model and of other tools, made anew each time."""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
from pathlib import Path

import numpy as np

TINY: dict[str, object] = {
    "vocab_size": 256, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "attn_layer_period": 2, "attn_layer_offset": 1,
    "mamba_d_state": 2, "mamba_d_conv": 2, "mamba_dt_rank": 1,
}  # fmt: skip
JOURNAL = b"""\
{"event":"started","time":"2026-01-02T03:04:05Z","parameters":1000,"corpus_sha256":"ab","train_tokens":9}
{"event":"device","time":"2026-01-02T03:04:05Z","pid":1,"host":"h","device":"cpu","threads":2}
{"event":"step","time":"2026-01-02T03:04:06Z","step":1,"loss":5.5,"lr":0.001,"grad_norm":1.5,"tokens":9,"seconds":0.1}
{"event":"measured","time":"2026-01-02T03:04:06Z","step":1,"values":{"accuracy":0.5}}
{"event":"saved","time":"2026-01-02T03:04:07Z","step":1,"checkpoint":"step_1","sha256":"cd","bytes":10}
{"event":"evaluated","time":"2026-01-02T03:04:07Z","step":1,"checkpoint":"step_1","loss":5.0,"stderr":0.1,"bits_per_byte":7.2,"windows":3,"protocol":"p"}
{"event":"sampled","time":"2026-01-02T03:04:08Z","step":1,"prompt":"To be","text":" or not"}
{"event":"predicted","time":"2026-01-02T03:04:08Z","step":1,"target":2,"value":4.5,"low":4.0,"high":5.0}
{"event":"controlled","time":"2026-01-02T03:04:08Z","step":1,"act":"rate_scale","value":0.5}
{"event":"noted","time":"2026-01-02T03:04:08Z","step":1,"text":"a note"}
{"event":"resumed","time":"2026-01-02T03:05:05Z","step":1,"checkpoint":"step_1"}
{"event":"step","time":"2026-01-02T03:05:06Z","step":2,"loss":4.5,"lr":0.001}
{"event":"saved","time":"2026-01-02T03:05:07Z","step":2,"checkpoint":"average_2","parents":["run:step_1@cd"],"method":"uniform"}
{"event":"heldout","time":"2026-01-02T03:05:07Z","step":1,"checkpoint":"step_1","loss":5.0}
{"event":"claimed","time":"2026-01-02T03:05:07Z","name":"best.bin","step":1,"value":5.0}
{"event":"faulted","time":"2026-01-02T03:05:07Z","step":2,"message":"disk full"}
{"event":"ended","time":"2026-01-02T03:05:08Z","step":2,"reason":"finished"}
{"event":"of tomorrow","x":1}
"""
TOML = b"""\
description = "a run"
preset = "nexus-tiny"
[model]
hidden_size = 8
[data]
corpus = "tinyshakespeare"
window = 16
[optimizer]
lr = 1e-3
[schedule]
warmup = 1
shape = "cosine"
[budget]
steps = 20
batch = 4
[evaluation]
every = 4
[sampling]
prompts = ["To be"]
[run]
seed = 1
"""


@functools.cache
def model_folder() -> dict[str, bytes]:
    """The files of a checkpoint folder of a tiny model, by name."""
    from nexus_tui.data.tokenizer import byte_tokenizer
    from nexus_tui.lm.config import JambaConfig
    from nexus_tui.lm.hybrid import HybridLM
    from nexus_tui.lm.pretrained import save_model

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(HybridLM(JambaConfig.model_validate(TINY)), folder)
        byte_tokenizer().save(str(folder / "tokenizer.json"))
        (folder / "state.json").write_text('{"step": 1, "tokens": 9, "rate_scale": 1.0, "planned_steps": 9}')
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@functools.cache
def bpe() -> bytes:
    """A small BPE tokenizer.json."""
    from nexus_tui.data.tokenizer import train_bpe

    text = "To be, or not to be: that is the question. " * 3
    return train_bpe(text, 280).to_str().encode()


def event_file() -> bytes:
    """A TensorBoard event file with a few scalars, old style and new."""
    records = []
    for step in (1, 2, 3):
        tag = b"\x0a" + bytes([10]) + b"train/loss"
        old = tag + b"\x15" + struct.pack("<f", 2.5 - step / 4)
        tensor = b"\x08\x01\x22\x04" + struct.pack("<f", 2.0)
        new = b"\x0a" + bytes([8]) + b"val/loss" + b"\x42" + bytes([len(tensor)]) + tensor
        for value in (old, new):
            summary = b"\x0a" + bytes([len(value)]) + value
            records.append(b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + bytes([step])
                           + b"\x2a" + bytes([len(summary)]) + summary)  # fmt: skip
    return b"".join(map(record, records))


def record(data: bytes) -> bytes:
    """Data as one record of an event file, its check sums right."""
    from nexus_tui.interop.tfevents import crc32c, masked

    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", masked(crc32c(head))) + data + struct.pack("<I", masked(crc32c(data)))


def npy(array: np.ndarray) -> bytes:
    """A .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def trainer_state() -> bytes:
    """A trainer_state.json."""
    history: list[dict[str, object]] = []
    for step in (10, 20, 30):
        history.append({"step": step, "epoch": step / 10, "loss": 3 - step / 20, "learning_rate": 1e-4})
        history.append({"step": step, "epoch": step / 10, "eval_loss": 3.1 - step / 20, "eval_runtime": 1.0})
    content = {
        "best_metric": 1.6, "best_model_checkpoint": "./out/checkpoint-30", "best_global_step": 30,
        "global_step": 30, "max_steps": 30, "save_steps": 10, "log_history": history,
    }  # fmt: skip
    return json.dumps(content).encode()
