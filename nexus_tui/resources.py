"""Where `models/` and `assets/` are, in a checkout and in an installed wheel."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def _root() -> Path:
    """The folder that holds `models/` and `assets/`."""
    # A wheel carries both inside the package (pyproject's force-include); a checkout beside it.
    installed = _PACKAGE / "_data"
    return installed if installed.is_dir() else _PACKAGE.parent


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, for example `resource("models", "nexus-byte.toml")`.

    Raises FileNotFoundError if the installation lacks it.
    """
    path = _root().joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(
            f"{'/'.join(parts)} is not in this installation of nexus-tui ({_root()}): install it again"
        )
    return path


def model_files() -> dict[str, Path]:
    """The shipped models: path of each TOML by the model's name, sorted by name."""
    files = resource("models").glob("*.toml")
    return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}
