"""What a user or another process says, and what the program keeps of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from nexus_tui.runs.filter import Facts, FilterError, parse, parts, settings_of
from nexus_tui.runs.summary import Summary
from nexus_tui.tui.long_prompt import editable, read_prompt
from nexus_tui.tui.presets import Presets
from nexus_tui.tui.prompt_editor import History
from nexus_tui.tui.prompts import one_line
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.view import View, ViewFile
from nexus_tui.untrusted import visible
from tools.fuzz.making import TEXTS, Maker, as_json, listed, number, one_of, text
from tools.fuzz.targets import Target

_SUMMARY = Summary(
    name="nexus-byte-1",
    preset="nexus-byte",
    corpus="tinyshakespeare",
    step=1400,
    total_steps=2000,
    best_loss=1.4,
    best_bits=2.1,
    last_active=1.7e9,
    notes=("debug",),
    spark=(3.0, 2.0, 1.4),
    config={"optimizer": {"lr": 1e-3, "betas": [0.9, 0.95]}, "budget": {"steps": 2000}, "x": 10**400},
)


def read_filter(_: Path, data: bytes) -> None:
    """The filter language, asked of a run; where it is none, the place that is wrong lies within it."""
    wanted = data.decode("utf-8", "surrogateescape")
    list(parts(wanted))
    facts = Facts(_SUMMARY, "finished", 1.7e9 + 100, True)
    try:
        found = parse(wanted)
        found(facts)
        parse(wanted, settings_of([_SUMMARY.config]))(facts)
    except FilterError as error:
        assert 0 <= error.start <= error.end <= len(wanted) and str(error)


def make_filter(maker: Maker) -> bytes:
    """Terms of keys, signs and values."""
    keys = (
        "",
        "-",
        "model",
        "lr",
        "best",
        "age",
        "pinned",
        "optimizer.lr",
        "x",
        "steps",
        "note",
        "loss",
        "a" * 50,
    )
    signs = ("", ":", "=", "!=", "<", "<=", ">", ">=", "==", "~", "≤", " = ")
    values = (
        "",
        '"',
        '""',
        '"a b"',
        "1",
        "1e999",
        "-inf",
        "2k",
        "10%",
        "3d",
        "1h30m",
        "yes",
        "nan",
        "1" * 400,
        "٣",
    )
    return " ".join(
        maker.of(keys) + maker.of(signs) + maker.of((*values, *TEXTS)) for _ in range(maker.below(6))
    ).encode("utf-8", "surrogatepass")


def read_message(_: Path, data: bytes) -> None:
    """A line at the control socket, and one as its answer."""
    from nexus_tui.training.channel import read_reply, read_wish

    for read in (read_wish, read_reply):
        try:
            read(data)
        except ValueError as error:
            assert len(str(error)) < 1000, "a refusal is short"


def make_message(maker: Maker) -> bytes:
    """Acts with values that nobody expects."""
    acts = (
        "pause",
        "continue",
        "save",
        "evaluate",
        "sample",
        "rate",
        "plan",
        "note",
        "stop",
        "hello",
        "exec",
    )
    fields = {
        "act": text(*acts),
        "scale": number(0.5),
        "steps": number(10),
        "text": text("a note"),
        "step": number(1),
        "save": one_of(True, False),
        "who": text("me on pts/1"),
        "error": text("no"),
        "looking": listed(text("me")),
    }
    return as_json(maker.table(fields))


def read_view(folder: Path, data: bytes) -> None:
    """How the screens were arranged; what is wrong is set aside, and said."""
    kept = ViewFile(folder)
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    kept.path.write_bytes(data)
    view, said = kept.load()
    assert isinstance(view, View) and len(said) < 2000
    kept.save(view)
    msgspec.json.encode(view)
    kept.path.unlink(missing_ok=True)
    kept.path.with_suffix(".damaged").unlink(missing_ok=True)


def make_view(maker: Maker) -> bytes:
    """Its fields, with values that nobody expects."""
    fields = {
        "format": number(1),
        "theme": text("dark"),
        "axis": one_of("step", "clock"),
        "smoothing": number(0.5),
        "log": listed(text("loss")),
        "large": text("loss"),
        "closed": listed(text("side")),
        "sort": text("name"),
        "sort_reversed": one_of(True, False),
        "filter": text("best<2"),
        "pins": listed(text("run")),
        "marked": listed(text("run")),
        "hidden": listed(text("run")),
        "places": lambda m: {m.of(TEXTS): m.value() for _ in range(m.below(3))},
    }
    return as_json(maker.table(fields))


def read_kept_words(folder: Path, data: bytes) -> None:
    """The user's presets and earlier prompts."""
    path = folder / "kept"
    path.write_bytes(data)
    presets = Presets(path)
    for name, values in presets.all.items():
        assert presets.name_of(values), name
    for prompt in History(path).prompts:
        assert editable(prompt)


def make_kept_words(maker: Maker) -> bytes:
    """Presets with values that nobody expects."""
    preset = {
        "temperature": number(0.8),
        "top_k": number(0),
        "top_p": number(1),
        "min_p": number(0),
        "repetition_penalty": number(1),
    }
    return as_json({maker.of((*TEXTS, "mine")): maker.table(preset) for _ in range(maker.below(4))})


def read_prompt_file(folder: Path, data: bytes) -> None:
    """A file as a prompt."""
    path = folder / "prompt.txt"
    path.write_bytes(data)
    found = read_prompt(path)
    if isinstance(found, str):
        assert editable(found)
    else:
        assert len(found.data) <= len(data)
        one_line(found.text, 40)
        visible(found.about)


def read_text(_: Path, data: bytes) -> None:
    """Any text that is shown: nothing in it steers the terminal, and its width is what it is said to be."""
    from rich.cells import cell_len

    for shown in (
        data.decode("utf-8", "replace"),
        data.decode("utf-8", "surrogateescape"),
        data.decode("latin-1"),
    ):
        for ascii in (False, True):
            safe = visible(shown, ascii)
            assert visible(safe, ascii) == safe and (safe.isascii() or not ascii)
            safe.encode()
            assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in safe)
        assert "\n" not in plain(shown)
        for width in (0, 1, 7):
            assert cell_len(fit(plain(shown), width)) == width
        assert cell_len(one_line(shown, 12)) <= 12 or not plain(shown)


_TUI = "nexus_tui/tui/"
TARGETS = (
    Target(
        "filter language",
        ("nexus_tui/runs/filter.py",),
        read_filter,
        lambda: [b"model:byte lr>=1e-3 best<2.0 -note:debug", b'"a b" age<3d pinned:yes'],
        make_filter,
        inputs=100_000,
    ),
    Target(
        "control socket",
        ("nexus_tui/training/channel.py", "nexus_tui/training/control.py"),
        read_message,
        lambda: [b'{"act":"rate","scale":0.5}\n', b'{"step":3,"looking":["a"]}\n'],
        make_message,
        inputs=220_000,
    ),
    Target(
        "view",
        (_TUI + "view.py",),
        read_view,
        lambda: [b'{"axis":"clock","pins":["a"],"smoothing":0.5}'],
        make_view,
        inputs=20_000,
    ),
    Target(
        "presets and prompts",
        (_TUI + "presets.py", _TUI + "prompt_editor.py"),
        read_kept_words,
        lambda: [
            b'"To be"\n"or not"\n',
            b'{"mine": {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1}}',
        ],
        make_kept_words,
    ),
    Target(
        "a file as a prompt",
        (_TUI + "long_prompt.py", _TUI + "prompts.py"),
        read_prompt_file,
        lambda: [b"To be, or not", "é\u202e".encode()],
        None,
        ("ValueError",),
    ),
    Target(
        "text that is shown",
        ("nexus_tui/untrusted.py", _TUI + "safe.py"),
        read_text,
        lambda: ["a\x1b[2J\u202e\x9b é 你\n".encode()],
        lambda maker: "".join(maker.of(TEXTS) for _ in range(maker.below(8))).encode(
            "utf-8", "surrogatepass"
        ),
        inputs=5_000,
    ),
)
