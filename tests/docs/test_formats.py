"""docs/formats.md names every event, every field with its default, and every file of a run."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec

from nexus_tui.config import RunConfig
from nexus_tui.exchange.logged import _MACHINE
from nexus_tui.runs import journal as j
from nexus_tui.training.session import Session
from nexus_tui.tui.metrics import BY_ID

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
EVENTS = {msgspec.inspect.type_info(kind).tag: kind for kind in get_args(j.KnownEvent)}  # type: ignore[union-attr]


def described() -> dict[str, dict[str, str]]:
    """By event: its fields, each with what stands after its `=`."""
    events: dict[str, dict[str, str]] = {}
    for line in PAGE.partition("| event |")[2].partition("\n\n")[0].splitlines()[2:]:
        event, fields = (cell.strip() for cell in line.split("|")[1:3])
        name = event.strip("`") or name  # noqa: F821 (of the row above)
        found = re.findall(r"`(\w+)`(?: = ([^,]+))?", fields)
        events.setdefault(name, {}).update(found)
    return events


def test_every_event_is_there_with_its_fields_and_their_defaults() -> None:
    expected = {}
    for name, kind in EVENTS.items():
        expected[name] = {
            field.name: "" if field.required else _json(field.default)
            for field in msgspec.structs.fields(kind)
            if field.name != "time"
        }
    assert described() == expected


def test_what_the_trainer_measures_is_there_and_has_a_chart_and_a_tag() -> None:
    rows = PAGE.partition("| name | |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == set(_MACHINE)
    assert told - {"gpu_memory_total"} <= set(BY_ID)


def _json(default: object) -> str:
    if default is msgspec.NODEFAULT:  # made by a factory
        return "{}"
    value = json.dumps([] if default == () else default)
    return value.removesuffix(".0")


def test_a_run_has_the_files_that_the_page_shows(small: RunConfig, tmp_path: Path) -> None:
    session = Session.start(tmp_path, small, "NAME")
    session.join()
    tree = PAGE.partition("```\nruns/NAME/\n")[2].partition("```")[0]
    shown = re.findall(r"[├└]── (\S+?)/?(?: |$)", tree, re.MULTILINE)
    while_it_trains = {"control/socket", "lock"}
    for name in shown:
        path = session.folder / name.replace("1400", "12")
        assert path.exists() == (name not in while_it_trains), name
    files = {path.name for path in (session.folder / "checkpoints" / "step_12").iterdir()}
    assert files == set(re.findall(r"`([\w.]+\.(?:json|safetensors))`", PAGE.partition("## A checkpoint")[2]))
