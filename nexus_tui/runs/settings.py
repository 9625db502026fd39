"""How the configurations of several runs differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject

_NOT_CONFIGURED = ("description", "kind")
"""Words about a run, not settings."""


@dataclass(frozen=True)
class ConfigDifference:
    """A configured value that is not the same for all subjects."""

    key: str
    values: tuple[Any, ...]
    """One a subject, None where it is not on record."""

    def plain(self) -> list[Any]:
        """The values as JSON has them; what it has no word for (a date, infinity) as text."""
        return [_plain(value) for value in self.values]


def config_differences(subjects: Sequence[Subject]) -> list[ConfigDifference]:
    """Every setting that differs, by its dotted key; the text's own hash among them.

    A run of ours that lacks a setting is older than the setting, which is a difference; other records may
    just be incomplete.
    """
    return run_differences([subject.run for subject in subjects])


def run_differences(runs: Sequence[Run]) -> list[ConfigDifference]:
    """`config_differences` of whole runs."""
    settings = [_settings(run) for run in runs]
    whole = [run.kind == "run" and bool(each) for run, each in zip(runs, settings, strict=True)]
    keys = dict.fromkeys(key for each in settings for key in each)
    rows = [ConfigDifference(key, tuple(each.get(key) for each in settings)) for key in keys]
    return [row for row in rows if _differ(row.values, whole)]


def _differ(values: tuple[Any, ...], whole: list[bool]) -> bool:
    known = [value for value, all_of_it in zip(values, whole, strict=True) if all_of_it or value is not None]
    return any(value != known[0] for value in known)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    known = value is None or isinstance(value, bool | int | str)
    return value if known or (isinstance(value, float) and math.isfinite(value)) else str(value)


def _settings(run: Run) -> dict[str, Any]:
    """A run's configuration by dotted keys."""
    found: dict[str, Any] = {}
    tables: dict[str, Any] = dict(run.config)
    for key, value in tables.items():
        if isinstance(value, dict):
            found |= {f"{key}.{name}": each for name, each in value.items()}
        elif key not in _NOT_CONFIGURED:
            found[key] = value
    if run.started and run.started.corpus_sha256:
        found["data.corpus SHA-256"] = run.started.corpus_sha256
    return found
