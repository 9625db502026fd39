"""The progress report: made of what is on record, as Markdown and as plain values."""

from pathlib import Path

from nexus_tui.runs.report.facts import Facts, facts, forecast_facts
from nexus_tui.runs.report.markdown import markdown
from nexus_tui.runs.run import Run
from nexus_tui.untrusted_files import replace_file

REPORT = "report.md"
"""Its name in a run's folder, where the trainer leaves it."""

__all__ = ["REPORT", "Facts", "facts", "forecast_facts", "markdown", "write_report"]


def write_report(run: Run, path: Path | None = None) -> Path:
    """Write the report as Markdown, by default into the run's folder, whole or not at all.

    Raises OSError if the disk does not take it.
    """
    path = path or run.folder / REPORT
    replace_file(path, markdown(facts(run)).encode())
    return path
