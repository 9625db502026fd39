"""How much of a core sampling may use: the user's share while a run is trained here, else all of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from nexus_tui import cli, foreground
from nexus_tui.tui.app import SAMPLING_SHARE, NexusApp


@pytest.mark.parametrize(("given", "share"), [({}, SAMPLING_SHARE), ({"sampling_share": 0.6}, 0.6)])
def test_the_share_holds_while_a_run_is_trained_here(tmp_path: Path, given: dict, share: float) -> None:
    app = NexusApp(tmp_path, **given)
    assert app.sampling_share == 1
    app.session = SimpleNamespace(alive=True)
    assert app.sampling_share == share
    app.session = SimpleNamespace(alive=False)
    assert app.sampling_share == 1


@pytest.mark.parametrize(
    ("arguments", "folder", "share"),
    [
        (("--sampling-cpu", "0.5"), None, 0.5),
        (("some-runs", "--sampling-cpu", "1"), Path("some-runs"), 1.0),
        (("open",), None, None),
    ],
)
def test_the_option_of_the_app(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], folder: Path | None, share: float | None
) -> None:
    opened: list[tuple[Path | None, float | None]] = []
    monkeypatch.setattr(foreground, "open_app", lambda *given: opened.append(given) or 0)
    monkeypatch.setattr("sys.argv", ["nexus-tui", *arguments])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert not exit.value.code
    assert opened == [(folder, share)]


@pytest.mark.parametrize("share", ["0", "1.5", "much"])
def test_no_share_at_all_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], share: str
) -> None:
    monkeypatch.setattr("sys.argv", ["nexus-tui", "--sampling-cpu", share])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    assert "--sampling-cpu" in capsys.readouterr().err
