"""Settings by name: built in and the user's own, kept in a file that may be damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from nexus_tui.lm.generation import Sampling
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.presets import BUILT_IN, Presets, wrong_name
from nexus_tui.tui.presets_dialog import PresetsDialog
from nexus_tui.tui.settings_panel import SETTINGS, stop_texts
from tests.tui.playground import field, show
from tests.tui.screens import press, text
from tests.tui.trained import Trained

Make = Callable[..., NexusApp]
MINE = {"temperature": 0.55, "top_k": 40, "top_p": 0.95, "min_p": 0.005, "repetition_penalty": 1.1}


def test_every_preset_is_a_sampling_that_its_fields_take() -> None:
    settings = {setting.id: setting for setting in SETTINGS}
    for values in (*BUILT_IN.values(), MINE):
        Sampling(**values)  # type: ignore[arg-type]
        for key, value in values.items():
            assert settings[key].read(settings[key].written(value)) == (value, "")


def test_presets_are_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "presets.json"
    presets = Presets(path)
    assert presets.keep("mine", {**MINE, "seed": 7}) == ""
    assert Presets(path).own == {"mine": MINE}
    assert Presets(path).name_of({**MINE, "max_tokens": 5}) == "mine"
    presets.keep("mine", {**MINE, "top_k": 5})
    assert Presets(path).own["mine"]["top_k"] == 5
    presets.forget("mine")
    assert Presets(path).all == BUILT_IN


@pytest.mark.parametrize(
    "damaged",
    [
        "", "{", "[]", "null", "[" * 100_000, '{"a": 1}', '{"a": {"temperature": 1}}', "\x00",
        json.dumps({"a": {**MINE, "temperature": -1}}), json.dumps({"a": {**MINE, "top_k": "5"}}),
        json.dumps({"a": {**MINE, "top_p": True}}), json.dumps({"usual": MINE}),
        json.dumps({"\x1b[2J": MINE}), json.dumps({"a": {**MINE, "temperature": float("nan")}}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "presets.json"
    path.write_text(damaged)
    assert Presets(path).all == BUILT_IN


def test_one_wrong_preset_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "presets.json"
    bad = {"temperature": "hot"}
    path.write_text(json.dumps({"bad": bad, "big": {**MINE, "top_k": 10**400}, "mine": MINE}))
    assert list(Presets(path).own) == ["mine"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    presets = Presets(tmp_path / "file" / "presets.json")
    assert "cannot be written" in presets.keep("mine", MINE)
    assert presets.all["mine"] == MINE


def test_names() -> None:
    assert wrong_name("my own é") == ""
    assert all(wrong_name(name) for name in ("", " ", "usual", "a" * 25, "\x1b", "a\nb"))


@given(st.lists(st.text(min_size=1).filter(lambda t: "\x00" not in t), max_size=4))
def test_any_stop_texts_can_be_typed(texts: list[str]) -> None:
    typed = "|".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n") for text in texts)
    assert stop_texts(typed) == tuple(texts)


def test_stop_texts_as_typed() -> None:
    assert stop_texts("") == () == stop_texts("||")
    assert stop_texts(r"\n\n|END\|a\\n|\q") == ("\n\n", "END|a\\n", "\\q")
    assert stop_texts("a\\") == ("a\\",)


async def test_presets_on_the_screen(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert screen.panel.preset == "usual" and "preset usual" in text(app)
        await press(pilot, "ctrl+t", "up", "up", "enter")
        assert screen.panel.preset == "greedy" and field(screen, "temperature").value == "0"
        field(screen, "temperature").value = "0.55"
        await pilot.pause()
        assert "preset own" in text(app)
        await press(pilot, "ctrl+t", "s")
        app.screen.query_one(Input).value = "usual"
        await press(pilot, "enter")
        assert "usual comes with the program; choose another name." in text(app)
        app.screen.query_one(Input).value = "mine"
        await press(pilot, "enter")
        assert isinstance(app.screen, PresetsDialog) and "mine" in text(app)
        await press(pilot, "enter")
        assert screen.panel.preset == "mine" and "preset mine" in text(app)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "ctrl+t", "end", "enter")
        assert field(screen, "temperature").value == "0.55"
        await press(pilot, "ctrl+t", "D")
        await press(pilot, "escape")
        assert screen.panel.presets.all == BUILT_IN


async def test_a_preset_of_a_wrong_number_is_not_kept(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "top_p").value = "7"
        await press(pilot, "ctrl+t", "s")
        assert "A field has no number that can be" in text(app)
