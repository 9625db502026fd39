"""A run of ours as an offline run of W&B, value for value; run as a script by a Python that has `wandb`.

    python benchmarks/wandb_run.py JOURNAL FOLDER

Nothing of ours is imported: W&B is in an environment of its own.
"""

import json
import sys
from pathlib import Path

import wandb


def rows(journal: Path) -> "dict[int, dict[str, float]]":
    """Every metric of every step."""
    found: dict[int, dict[str, float]] = {}
    for line in journal.read_text("utf-8").splitlines():
        event = json.loads(line)
        values = found.setdefault(event.get("step", 0), {})
        if event["event"] == "step":
            values |= {name: event[name] for name in ("loss", "lr", "grad_norm")}
        elif event["event"] == "measured":
            values |= event["values"]
        elif event["event"] == "evaluated":
            values |= {"validation_loss": event["loss"]}
    return {step: values for step, values in found.items() if values}


def main() -> None:
    """Write it."""
    journal, folder = Path(sys.argv[1]), Path(sys.argv[2])
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    run = wandb.init(mode="offline", dir=str(folder), project="big", settings=settings)
    for step, values in sorted(rows(journal).items()):
        run.log(values, step=step)
    run.finish()


if __name__ == "__main__":
    main()
