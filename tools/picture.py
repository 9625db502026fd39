"""Pictures of screens: the SVG that Textual exports, as PNG with glyphs that every machine here has."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.cells import cell_len

FONT = '"DejaVu Sans Mono", monospace'
"""Textual's SVG asks for Fira Code from the web; this one has braille and every sign drawn here."""


def plain_fonts(svg_text: str) -> str:
    """The SVG without web fonts, each character at its own cell whatever font has it."""
    svg_text = re.sub(r"@font-face\s*\{.*?\}", "", svg_text, flags=re.DOTALL)
    svg_text = svg_text.replace("Fira Code", "DejaVu Sans Mono").replace("arial", "DejaVu Sans")
    return re.sub(
        r'(<text [^>]*?)x="([\d.]+)"([^>]*?) textLength="([\d.]+)"([^>]*>)(.*?)</text>', _by_cells, svg_text
    )


def _by_cells(match: re.Match[str]) -> str:
    """A text element with the place of every character instead of the length of them all."""
    before, x, between, length, after, content = match.groups()
    text = html.unescape(content)
    cells = [cell_len(character) for character in text]
    pitch = float(length) / max(1, sum(cells))
    places = [float(x) + pitch * sum(cells[:index]) for index in range(len(cells))]
    return f'{before}x="{" ".join(f"{place:.1f}" for place in places)}"{between}{after}{content}</text>'


def svg_to_png(svg_text: str, path: str | Path, *, width: int = 1600) -> Path:
    """Write an SVG picture as PNG.

    Args:
        svg_text: from `App.export_screenshot()`.
        path: the PNG to write.
        width: in pixels.

    Returns:
        The path.

    Raises:
        RuntimeError: neither chromium nor rsvg-convert is installed, or both failed.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = plain_fonts(svg_text)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "screen.svg"
        source.write_text(svg, encoding="utf-8")
        for command in (_chromium(source, svg, path, width), _rsvg(source, path, width)):
            if command is None:
                continue
            path.unlink(missing_ok=True)
            subprocess.run(command, capture_output=True, timeout=120, check=False)
            if path.exists() and path.stat().st_size:
                return path
    raise RuntimeError("No picture was made: install chromium or rsvg-convert (librsvg2-bin).")


def _chromium(source: Path, svg: str, path: Path, width: int) -> list[str] | None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if program is None or box is None:
        return None
    wide, high = float(box[1]), float(box[2])
    page = source.with_suffix(".html")
    page.write_text(
        '<!doctype html><meta charset="utf-8">'
        f"<style>body{{margin:0}}svg{{display:block;width:{wide}px}}</style>{svg}",
        encoding="utf-8",
    )
    return [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--force-device-scale-factor={width / wide:.4f}",
        f"--window-size={int(wide + 1)},{int(high + 1)}",
        f"--user-data-dir={source.parent / 'profile'}",
        f"--screenshot={path}",
        page.as_uri(),
    ]


def _rsvg(source: Path, path: Path, width: int) -> list[str] | None:
    program = shutil.which("rsvg-convert")
    return [program, "--width", str(width), "--output", str(path), str(source)] if program else None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/picture.py SCREEN.svg PICTURE.png")
    print(svg_to_png(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]))
