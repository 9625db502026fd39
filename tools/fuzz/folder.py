"""A runs folder in which nothing is as it should be."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tools.fuzz import seeds
from tools.fuzz.making import TEXTS, as_json
from tools.fuzz.targets_runs import prepare_run

NAMES = (
    "\x1b]0;title\x07", "a\x1b[2Jb", "new\nline", "\u202eabc", "[red]x[/red]", "[@click=app.quit]x",
    "\x9b31m", "\udcff\udcfe", "y" * 200, " ", "-rf", "$(touch hacked)", "e\u0301" * 20,
)  # fmt: skip
"""That steer a terminal, hide or turn what stands beside them, look like markup, options or commands."""
GIANT = 1 << 40
"""Bytes that a file claims to have; none is on the disk."""
_PARTS = ("journal.jsonl", "run.toml", "lock", "checkpoints/step_1/manifest.json", "evaluations/step_1.npy",
          "checkpoints/step_1/model.safetensors")  # fmt: skip


def hostile(folder: Path, outside: Path) -> Path:
    """Make such a runs folder; its links lead into `outside`, which must stay as it is."""
    folder.mkdir()
    outside.mkdir(exist_ok=True)
    (outside / "precious").write_text("as it was\n")
    for number, name in enumerate(NAMES):
        _run(folder / f"{number:02}{name.replace('/', '_')}", name)
    for part in _PARTS:
        short = part.rpartition("/")[2].partition(".")[0]
        os.mkfifo(_without(_run(folder / f"pipe-{short}"), part))
        _without(_run(folder / f"folder-{short}"), part).mkdir()
        _without(_run(folder / f"device-{short}"), part).symlink_to("/dev/zero")
        _without(_run(folder / f"link-{short}"), part).symlink_to(outside / "precious")
        with _without(_run(folder / f"giant-{short}"), part).open("wb") as file:
            file.truncate(GIANT)
        _without(_run(folder / f"shut-{short}"), part).touch(0)
    for part in ("checkpoints", "evaluations", "control"):
        run = _run(folder / f"out-{part}")
        shutil.rmtree(run / part, ignore_errors=True)
        (run / part).symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    (folder / "elsewhere").symlink_to(outside)
    _others(folder)
    return folder


@functools.cache
def _whole_run() -> Path:
    """A run as it should be; a saved checkpoint waits for the disk, a copied one does not."""
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    prepare_run(place)
    return place


def _run(folder: Path, text: str = "") -> Path:
    """A run whose record has a text wherever it can have one."""
    shutil.copytree(_whole_run(), folder, symlinks=True)
    (folder / "journal.jsonl").write_bytes(seeds.JOURNAL + journal_of(text) if text else seeds.JOURNAL)
    if text:
        quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=True)
        (folder / "run.toml").write_text(
            f"description = {quoted}\npreset = {quoted}\n[data]\ncorpus = {quoted}\ntokenizer = {quoted}\n"
            f"[budget]\nsteps = 20\n[sampling]\nprompts = [{quoted}]\n[{quoted}]\n{quoted} = {quoted}\n"
        )
        with suppress(OSError):
            (folder / f"best.{text[:40].replace('/', '_')}").write_text("weights")
    return folder


def journal_of(text: str) -> bytes:
    """Events that have a text wherever they can have one."""
    told = text.encode("utf-8", "replace").decode()
    events: list[dict[str, object]] = [
        {"event": "device", "pid": 1, "host": told, "device": told, "threads": 2},
        {"event": "saved", "step": 3, "checkpoint": told, "sha256": told, "parents": [told], "method": told},
        {
            "event": "evaluated",
            "step": 3,
            "checkpoint": told,
            "loss": 4,
            "protocol": told,
            "metrics": {told: 1},
        },
        {"event": "measured", "step": 3, "values": {told: 1.0}},
        {"event": "sampled", "step": 3, "prompt": told, "text": told},
        {"event": "predicted", "step": 3, "target": 4, "value": 4.0, "method": told, "basis": told},
        {"event": "controlled", "step": 3, "act": told},
        {"event": "noted", "step": 3, "text": told},
        {"event": "claimed", "name": told, "step": 1, "metric": told, "value": 1, "path": told},
        {"event": "activity", "step": 3, "activity": told},
        {"event": "faulted", "step": 3, "message": told},
        {"event": "ended", "step": 3, "reason": told, "message": told},
        {"event": told, told: told},
    ]
    return b"\n".join(as_json({"time": "2026-01-02T03:06:00Z", **event}) for event in events) + b"\n"


def _without(run: Path, part: str) -> Path:
    (run / part).unlink(missing_ok=True)
    return run / part


def _others(folder: Path) -> None:
    """Other tools' files, likewise."""
    os.mkfifo(folder / "pipe.csv")
    (folder / "device.jsonl").symlink_to("/dev/zero")
    with (folder / "giant.csv").open("wb") as file:
        file.truncate(GIANT)
    (folder / "folder.csv").mkdir()
    (folder / "deep.json").write_text('{"log_history": ' + "[" * 100_000)
    for number, name in enumerate(NAMES[:6]):
        text = name.replace("\n", " ")
        (folder / f"{number}{name.replace('/', '_')}.csv").write_text(
            f"step,loss,{text}\n1,2.5,{text}\n2,2.4,3\n"
        )
    board = folder / "board"
    board.mkdir()
    os.mkfifo(board / "events.out.tfevents.1700000000.pipe")
    (board / "events.out.tfevents.1700000001.x").write_bytes(seeds.event_file())
    trainer = folder / "trainer" / "checkpoint-30"
    trainer.mkdir(parents=True)
    os.mkfifo(trainer / "trainer_state.json")
    (folder / "trainer" / "trainer_state.json").write_bytes(
        seeds.trainer_state().replace(b"./out/checkpoint-30", json.dumps(TEXTS[14]).encode()[1:-1])
    )
