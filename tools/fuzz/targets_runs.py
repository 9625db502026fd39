"""The files of a runs folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import typing
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import open_checkpoint, save_checkpoint
from nexus_tui.runs.lock import holder
from nexus_tui.runs.record import Record
from nexus_tui.runs.run import Run
from nexus_tui.runs.summaries import Summaries
from tools.fuzz import seeds
from tools.fuzz.making import TEXTS, Maker, as_json, by_annotation, number, table_of, text
from tools.fuzz.targets import Target

_EVENTS = typing.get_args(j.KnownEvent)


def read_journal(folder: Path, data: bytes) -> None:
    """The events of a file, taken as a record takes them; then as the next writer finds it."""
    path = folder / "journal.jsonl"
    path.write_bytes(data)
    record = Record()
    for events in j.JournalReader(path).batches():
        record.take(events)
    for name in record.measured:
        record.measured[name].series()
    journal = j.Journal(path)
    journal.append(j.NotedEvent(step=1, text="after it"))
    journal.close()
    last = j.JournalReader(path).read()[-1]
    assert isinstance(last, j.NotedEvent) and last.text == "after it", "what is appended is read again"


def make_journal(maker: Maker) -> bytes:
    """Events of every kind, with values that nobody expects."""
    lines = []
    while maker.more and len(lines) < 30:
        kind = maker.of(_EVENTS)
        fields = {f.name: by_annotation(f.name, f.type) for f in msgspec.structs.fields(kind)}
        hints = typing.get_type_hints(kind, include_extras=True, localns={"Any": object})
        fields = {name: by_annotation(name, hints[name]) for name in fields}
        lines.append(as_json({"event": kind.__struct_config__.tag, **maker.table(fields)}))
    return b"\n".join(lines) + b"\n"


def prepare_run(folder: Path) -> None:
    """Two checkpoints and their evaluations beside the journal."""

    def write(place: Path) -> None:
        (place / "model.safetensors").write_bytes(b"weights")
        (place / "optimizer.safetensors").write_bytes(b"state")

    for step in (1, 2):
        save_checkpoint(folder / "checkpoints" / f"step_{step}", step, write)
        (folder / "evaluations").mkdir(exist_ok=True)
        losses = np.linspace(1, 2, 40, dtype=np.float32) / step
        (folder / "evaluations" / f"step_{step}.npy").write_bytes(seeds.npy(losses))
    (folder / "best").symlink_to("checkpoints/step_1")
    (folder / "run.toml").write_bytes(seeds.TOML)


def read_record(folder: Path, data: bytes) -> None:
    """A whole run, and everything that is ever asked of it."""
    from tools.fuzz.looking import look

    (folder / "journal.jsonl").write_bytes(data)
    look(Run(folder))


def read_toml(folder: Path, data: bytes) -> None:
    """run.toml as the record of a run reads it, and as a configuration to train by."""
    from nexus_tui.config import RunConfig
    from tools.fuzz.looking import look

    (folder / "run.toml").write_bytes(data)
    run = Run(folder)
    look(run)
    RunConfig.check(run.config, str(folder / "run.toml"))
    RunConfig.load(str(folder / "run.toml"))


def prepare_toml(folder: Path) -> None:
    """A journal beside it."""
    (folder / "journal.jsonl").write_bytes(seeds.JOURNAL)


def make_toml(maker: Maker) -> bytes:
    """Known tables and keys, with values that nobody expects."""
    tables = {
        "model": ("hidden_size", "num_hidden_layers", "attn_layer_period", "attn_layer_offset", "vocab_size"),
        "data": ("corpus", "tokenizer", "window", "validation", "holdout"),
        "optimizer": ("lr", "betas", "clip"),
        "schedule": ("warmup", "shape"),
        "budget": ("steps", "batch"),
        "evaluation": ("every",),
        "sampling": ("prompts", "temperature", "max_tokens"),
        "run": ("seed",),
    }
    lines = [f"{key} = {_toml(maker)}" for key in ("description", "preset", "model") if maker.seldom()]
    for table, keys in tables.items():
        if not maker.seldom():
            lines += [f"[{table}]", *(f"{key} = {_toml(maker)}" for key in keys if not maker.seldom())]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _toml(maker: Maker) -> str:
    kinds = (
        lambda: str(maker.of((0, 1, -1, 4, 20, 10**30))),
        lambda: maker.of(("0x" + "f" * 5000, "1e999", "inf", "nan", "-inf", "1e-320", "0.5", "1_000")),
        lambda: json.dumps(maker.of(TEXTS)),
        lambda: maker.of(("true", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[]", "{}", "[[1],[2]]")),
        lambda: "[" + ", ".join(json.dumps(maker.of(TEXTS)) for _ in range(maker.below(4))) + "]",
        lambda: "[" * 600 + "]" * 600,
        lambda: maker.of(('"cosine"', '"linear"', '"byte"', "1e-3", "3")),
    )
    return maker.of(kinds)()


def read_manifest(folder: Path, data: bytes) -> None:
    """A checkpoint's manifest, its sizes compared and its files hashed."""
    (folder / "manifest.json").write_bytes(data)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.bytes >= 0 and checkpoint.sha256 is not None
    _ = checkpoint.resumable, f"{checkpoint.step:,}"
    checkpoint.verify()


def prepare_manifest(folder: Path) -> None:
    """The files that it names, and what it should not name."""
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "optimizer.safetensors").write_bytes(b"state")
    (folder / "a").mkdir()


_SHA = hashlib.sha256(b"weights").hexdigest()


def make_manifest(maker: Maker) -> bytes:
    """Files by name, with sizes and hashes that nobody expects."""
    entry = table_of({"bytes": number(7, 5, 0), "sha256": text(_SHA)})
    files = {name: entry(maker) for name in ("model.safetensors", "optimizer.safetensors")}
    for _ in range(maker.below(3)):
        files[maker.of(TEXTS)] = entry(maker)
    return as_json(maker.table({"step": number(1, 2), "files": lambda m: m.value() if m.seldom() else files}))


def read_windows(folder: Path, data: bytes) -> None:
    """The losses of the windows of an evaluation."""
    (folder / "evaluations" / "step_1.npy").write_bytes(data)
    losses = Run(folder).window_losses("step_1")
    assert losses is None or losses.nbytes <= len(data), "no more comes of a file than is in it"


def prepare_windows(folder: Path) -> None:
    """Where they are kept."""
    (folder / "evaluations").mkdir()


def make_windows(maker: Maker) -> bytes:
    """A header that claims anything, over a few bytes."""
    shape = maker.of(("(3,)", "()", "(3, 3)", "(1000000000000,)", "(-1,)", "(2**62,)", "(" * 200, "(None,)"))
    kind = maker.of(("<f4", "<f8", "|O", "<i4", "|V8", "<U9", "|S0", ">f4", "[('a','<f4')]"))
    header = f"{{'descr': '{kind}', 'fortran_order': {maker.of((False, True, 3))}, 'shape': {shape}, }}"
    raw = header.encode().ljust(118 - maker.below(3)) + b"\n"
    version = maker.of((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    length = len(raw).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + raw + maker.rest()


def read_lock(folder: Path, data: bytes) -> None:
    """Who trains."""
    (folder / "lock").write_bytes(data)
    found = holder(folder)
    assert found is None or len(f"{found.pid} {found.host}") < 1000


def make_lock(maker: Maker) -> bytes:
    """Who claims to train."""
    return as_json(maker.table({"pid": number(1, 4242), "host": text("elsewhere")}))


def read_summaries(folder: Path, data: bytes) -> None:
    """The kept summaries of a runs folder, and its list made of them."""
    from nexus_tui import console
    from nexus_tui.runs.store import Runs

    kept = Summaries(folder)
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    kept.path.write_bytes(data)
    store = Runs(folder, summaries=Summaries(folder))
    for run in store.refresh():
        console.run_row(run)
    kept.path.unlink()


def prepare_summaries(folder: Path) -> None:
    """A run."""
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "journal.jsonl").write_bytes(seeds.JOURNAL)


def summaries_seeds() -> list[bytes]:
    """A file as it is kept."""
    import tempfile

    from nexus_tui.runs import summaries

    with tempfile.TemporaryDirectory() as name:
        prepare_summaries(Path(name))
        kept, worth = Summaries(Path(name)), summaries.WORTH
        kept.put(Run(Path(name) / "run"))
        summaries.WORTH = 0
        try:
            kept.save(["run"])
        finally:
            summaries.WORTH = worth
        data = kept.path.read_bytes()
        with suppress(OSError):
            kept.path.unlink()
        return [data]


def read_claims(folder: Path, data: bytes) -> None:
    """Names in a run's folder that claim to be the best, and links to anywhere."""
    from nexus_tui.runs.audit import audit

    names = [line for line in data.split(b"\n")[:8] if line]
    made = set()
    for number_, line in enumerate(names):
        name, _, target = line.partition(b"=>")
        path = folder / ("best." + name[:80].decode("utf-8", "surrogateescape").replace("/", "_"))
        with suppress(OSError, ValueError):
            if target:
                path.symlink_to(target.decode("utf-8", "surrogateescape"))
            elif number_ % 2:
                path.mkdir()
            else:
                path.write_bytes(line)
            made.add(path)
    try:
        for judged in audit(Run(folder), verify=True).judged:
            str(judged)
    finally:
        for path in made:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def prepare_claims(folder: Path) -> None:
    """A run with checkpoints."""
    prepare_run(folder)
    prepare_toml(folder)


_RUNS = "nexus_tui/runs/"
_EVERY = tuple(_RUNS + name for name in ("journal.py", "record.py", "columns.py"))
TARGETS = (
    Target(
        "journal.jsonl",
        _EVERY,
        read_journal,
        lambda: [seeds.JOURNAL],
        make_journal,
        inputs=10_000,
    ),
    Target(
        "a whole run",
        (
            _RUNS + "run.py",
            _RUNS + "truth.py",
            _RUNS + "audit.py",
            _RUNS + "claims.py",
            _RUNS + "summary.py",
            _RUNS + "predictions.py",
            _RUNS + "comparison.py",
            _RUNS + "subject.py",
            _RUNS + "report/facts.py",
            _RUNS + "report/markdown.py",
            "nexus_tui/tui/story.py",
            "nexus_tui/tui/checkpoint_rows.py",
        ),
        read_record,
        lambda: [seeds.JOURNAL],
        make_journal,
        prepare=prepare_run,
        inputs=1_500,
    ),
    Target(
        "run.toml",
        ("nexus_tui/config.py", _RUNS + "settings.py", _RUNS + "filter.py"),
        read_toml,
        lambda: [seeds.TOML],
        make_toml,
        ("ConfigError",),
        prepare=prepare_toml,
        inputs=1_500,
    ),
    Target(
        "manifest.json",
        (_RUNS + "checkpoints.py",),
        read_manifest,
        lambda: [as_json({"step": 1, "files": {"model.safetensors": {"bytes": 7, "sha256": _SHA}}})],
        make_manifest,
        ("CheckpointError",),
        prepare=prepare_manifest,
        inputs=150_000,
    ),
    Target(
        "evaluations/*.npy",
        (_RUNS + "run.py",),
        read_windows,
        lambda: [seeds.npy(np.ones(3, np.float32))],
        make_windows,
        prepare=prepare_windows,
    ),
    Target(
        "lock",
        (_RUNS + "lock.py",),
        read_lock,
        lambda: [b'{"pid": 1, "host": "h"}'],
        make_lock,
        inputs=150_000,
    ),
    Target(
        "kept summaries",
        (_RUNS + "summaries.py",),
        read_summaries,
        summaries_seeds,
        prepare=prepare_summaries,
        inputs=5_000,
    ),
    Target(
        "names called best",
        (_RUNS + "claims.py",),
        read_claims,
        lambda: [b"bin\nmodel\nx=>/dev/zero\ny=>../..\nz=>best.z"],
        prepare=prepare_claims,
        inputs=3_000,
    ),
)
