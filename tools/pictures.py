"""The pictures of the README, of today's program on real runs: `python tools/pictures.py RUNS RUN [NAME …]`.

RUN needs kept checkpoints 200 … 2000. A script of keys drives the app without a terminal; `…` waits until the
screen has come to rest.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from textual.pilot import Pilot

from nexus_tui.tui.app import NexusApp
from tools.picture import svg_to_png

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SIZES = ((80, 24), (160, 48))
REST, PATIENCE = 2.0, 600.0
"""Seconds without a change that count as rest, and after which it is taken for granted."""

MARKED = "3 home down down space down down down down space end space"  # steps 600, 1400 and 2000
PICTURES: dict[str, str] = {
    "compare": f"{MARKED} c …",
    "compare-position": f"{MARKED} c o …",
    "compare-classes": f"{MARKED} c c …",
    "compare-windows": f"{MARKED} c i …",
    "compare-layers": f"{MARKED} c l …",
    "checkpoints": "3 home down down space down down down down space end space …",
    "playground": "5 … ctrl+r … escape home right right right right right right right s right …",
    "grid": f"{MARKED} 5 … ctrl+g …",
    "evolution": "5 … ctrl+e …",
    "runs": "1 … U home space j space …",
    "new": "1 … n …",
    "overlay": "1 … U home space j space j space o … left shift+left shift+left …",
}


async def rest(pilot: Pilot[str]) -> None:
    """Wait until the screen has not changed for a while."""
    seen, since, started = "", time.monotonic(), time.monotonic()
    while time.monotonic() - since < REST and time.monotonic() - started < PATIENCE:
        await pilot.pause(0.25)
        now = pilot.app.export_screenshot()
        if now != seen:
            seen, since = now, time.monotonic()


async def take(runs: Path, run: str, name: str, size: tuple[int, int]) -> Path:
    """Take one picture."""
    app = NexusApp(runs, run, preload=False)
    async with app.run_test(size=size) as pilot:
        while not app.loaded:
            await pilot.pause(0.05)
        await rest(pilot)
        for key in PICTURES[name].split():
            if key == "…":
                await rest(pilot)
            else:
                await pilot.press(key)
                await pilot.pause(0.2)
        path = FOLDER / f"{name}-{size[0]}x{size[1]}.png"
        return svg_to_png(app.export_screenshot(title="nexus-tui"), path)


def main() -> None:
    """Take the pictures named, by default all."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[3:] or PICTURES:
        for size in SIZES:
            print(asyncio.run(take(Path(sys.argv[1]), sys.argv[2], name, size)), flush=True)


if __name__ == "__main__":
    main()
