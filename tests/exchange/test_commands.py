"""`nexus-tui export` and `import`, as a shell sees them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.runs.run import Run


def shell(*arguments: object) -> list[str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception:
        raise result.exception
    return result.output.splitlines()


def test_out_and_in(byte_run: Run, tmp_path: Path):
    runs, out = ("--runs", byte_run.folder.parent), tmp_path / "out"
    said = shell("export", f"{byte_run.name}:8", out, *runs, "--dtype", "float16")
    assert said[0] == f"bytes:step_8 is in {out}, in float16."
    assert said[1].startswith("validation loss, rounded: 4.")
    here, corpus = ("--runs", tmp_path / "runs"), byte_run.setting("data.corpus")
    said = shell("import", out, "--name", "taken", "--corpus", corpus, "--set", "data.window=16", *here)
    assert said[0] == f"taken: {byte_run.started.parameters:,} parameters, as step 0 of a new run."
    assert said[2] == "nexus-tui train --resume taken trains on."
    assert any(line.split()[:2] == ["taken", "imported"] for line in shell("runs", *here))
    assert len(shell("sample", "taken", "Shall", "--max-tokens", 3, *here)) >= 1
    with pytest.raises(ExchangeError, match="--dtype int4: choose one of float32, bfloat16, float16"):
        shell("export", byte_run.name, tmp_path / "other", *runs, "--dtype", "int4")
