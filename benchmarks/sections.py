"""The sections of a document of figures, and who runs for each: docs/performance.md has those below."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Section:
    """What one program prints, under a title."""

    name: str
    """Of its module in the package."""
    title: str
    arguments: tuple[str, ...] = ()
    plain: bool = False
    """What it prints is aligned with spaces, and no Markdown."""
    package: str = "benchmarks"
    limit: float | None = None
    """Seconds after which it is ended, with all that it started, and has failed."""
    alone: bool = False
    """It is run only where it is named."""
    gpu: bool = False
    """It measures a GPU, and is skipped where there is none."""

    @property
    def command(self) -> str:
        """What to type for this section's figures alone."""
        return " ".join(["python -m", f"{self.package}.{self.name}", *self.arguments])

    @property
    def about(self) -> str:
        """What it measures: the module's own words. The module is not imported."""
        source = (ROOT / self.package.replace(".", "/") / f"{self.name}.py").read_text("utf-8")
        return ast.get_docstring(ast.parse(source)) or ""


SECTIONS = (
    Section("limit", "The limit of a training step", ("--repetitions", "15")),
    Section("peers", "A training step against its peers", ("--repetitions", "2")),
    Section("scaling", "Scaling with length, batch, width and threads"),
    Section("budget", "What equal time buys"),
    Section("ranks", "A step by several processes"),
    Section("training_start", "The start of a training"),
    Section("corpus", "Corpora of any size"),
    Section("memory", "The memory of a training"),
    Section("sampling", "Sampling", ("--repetitions", "60")),
    Section("start", "The start of the app"),
    Section("frames", "A frame of the charts"),
    Section("dashboard", "The app beside a training"),
    Section("opening", "Opening a large run"),
    Section("runs_list", "The list of runs"),
    Section("scan", "The selective scan and the convolution alone", ("--repetitions", "15")),
    Section("waiting", "How idle threads wait"),
    Section("forecast", "Forecasts", plain=True),
    Section("pairs", "Telling checkpoints apart"),
)


def _gpu(name: str, title: str, limit: float) -> Section:
    return Section(f"gpu_{name}", title, limit=limit, gpu=True)


GPU_SECTIONS = (
    _gpu("tests", "On a GPU: the tests that need one", 120),
    _gpu("scan", "On a GPU: the selective scan", 120),
    _gpu("step", "On a GPU: a training step", 150),
    _gpu("sampling", "On a GPU: sampling", 120),
    _gpu("recipe", "On a GPU: the tuned byte recipe", 90),
    _gpu("agreement", "On a GPU: the losses of a processor", 90),
    _gpu("peers", "On a GPU: a training step against its peers", 120),
)
"""What `python -m benchmarks.gpu` runs, what matters most first."""
