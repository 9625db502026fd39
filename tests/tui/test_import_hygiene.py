"""The first screen is painted before anything slow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("torch", "numba", "tokenizers", "pydantic", "safetensors", "transformers", "plotext", "scipy")

PAINT = """
import asyncio, sys
from pathlib import Path
from nexus_tui.tui.app import NexusApp

async def main():
    app = NexusApp(Path(sys.argv[1]), preload=False)
    async with app.run_test(size=(80, 24)) as pilot:
        while not app.loaded:
            await pilot.pause(0.01)
        await pilot.pause()
    print(*(name for name in sys.argv[2:] if name in sys.modules))

asyncio.run(main())
"""


def modules(code: str, *arguments: str) -> list[str]:
    """What a fresh interpreter prints after running some code."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=root, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("made", [False, True])
def test_painting_the_first_screen_imports_nothing_slow(folder: Path, made: bool) -> None:
    if made:
        from tests.tui.fake_runs import FakeRun

        FakeRun(folder / "run").train(250)
    assert modules(PAINT, str(folder.resolve()), *SLOW) == []


@pytest.mark.parametrize("screen", ["training_screen", "checkpoints_screen", "new_run", "help", "dialogs"])
def test_no_screen_imports_torch_by_itself(screen: str) -> None:
    code = f"import sys, nexus_tui.tui.{screen}; print(*(n for n in sys.argv[1:] if n in sys.modules))"
    assert modules(code, "torch", "numba", "tokenizers", "transformers") == []
