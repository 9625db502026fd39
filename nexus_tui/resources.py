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


def record_folders() -> list[Path]:
    """The folders of runs that come with the program: those of models with weights, then mere records.

    Either by name. Raises FileNotFoundError if the installation lacks them.
    """
    with_weights = sorted(path for path in resource("models").iterdir() if path.is_dir())
    return [*with_weights, *sorted(resource("assets", "runs").iterdir())]


def is_shipped(path: Path) -> bool:
    """Whether a file or folder came with the program: nothing is written there, even where that could be."""
    places = (_root() / "models", _root() / "assets")
    return any(path.resolve().is_relative_to(place) for place in places)


def model_files() -> dict[str, Path]:
    """The shipped models: path of each TOML by the model's name, sorted by name."""
    files = resource("models").glob("*.toml")
    return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}
