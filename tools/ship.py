"""Makes a checkpoint one that comes with the program: its weights in bfloat16, its run's record, a card.

    python -m tools.ship RUN:STEP models/NAME --chosen "how the recipe was chosen"

RUN is a run's folder. Before anything is written the checkpoint is scored on the whole validation text and
must have the loss that is on record; then its weights are rounded and scored again. Both losses are on the
card and in the journal, whose newer evaluation is that of the weights as they are shipped.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from nexus_tui.exchange.card import CARD, card
from nexus_tui.exchange.folder import export_folder
from nexus_tui.lm.pretrained import load_config, load_model
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint, save_checkpoint, save_window_losses
from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject
from nexus_tui.training.evaluation import Validation, summary
from nexus_tui.training.opened import opened

DTYPE = "bfloat16"


def scored(validation: Validation, folder: Path) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Mean loss of every validation window under the model of a folder, [windows]."""
    return np.concatenate(list(validation.losses(load_model(folder).eval())))


def record(run: Run, folder: Path) -> None:
    """Copy what is on record of a run: configuration, journal, windows' losses. Nothing says where it ran."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("run.toml", "tokenizer.json"):
        shutil.copyfile(run.folder / name, folder / name)
    (folder / "evaluations").mkdir()
    for file in sorted((run.folder / "evaluations").glob("*.npy")):
        shutil.copyfile(file, folder / "evaluations" / file.name)
    with (folder / "journal.jsonl").open("wb") as copy:
        for line in (run.folder / "journal.jsonl").read_bytes().splitlines():
            event = json.loads(line)
            if event["event"] == "device":
                event["host"] = ""
            if event["event"] == "started":
                event["kind"] = "recorded"
            copy.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


def ship(run: Run, checkpoint: Checkpoint, folder: Path, chosen: str) -> None:
    """Write the folder of a shipped model. Exits with a sentence if the weights are not those on record."""
    subject = Subject(run, checkpoint.name)
    windows = opened(run, checkpoint, subject.protocol).validation
    again, _ = summary(scored(windows, checkpoint.path))
    if abs(again - subject.loss) > 1e-6:
        sys.exit(f"{checkpoint.path} has a loss of {again:.7f}, and not {subject.loss:.7f} as on record.")
    record(run, folder)
    place = folder / "checkpoints" / checkpoint.name

    def write(target: Path) -> None:
        exported = export_folder(run, checkpoint, target / "model", DTYPE)
        text = card(subject, load_config(checkpoint.path), exported.rounded)
        text = text.replace(subject.label, f"{folder.name}:{checkpoint.step}").replace("DIR", str(place))
        (folder / CARD).write_text(f"{text}\n## How the recipe was chosen\n\n{chosen}\n", "utf-8")
        (target / "model" / CARD).unlink()
        for file in (target / "model").iterdir():
            file.rename(target / file.name)
        (target / "model").rmdir()

    shipped = save_checkpoint(place, checkpoint.step, write)
    losses = scored(windows, place)
    save_window_losses(folder, checkpoint.name, losses)
    journalled(folder, subject, shipped, losses, windows)
    print(f"{folder}: {subject.loss:.6f} in float32, {summary(losses)[0]:.6f} in {DTYPE} (nats per token)")


def journalled(
    folder: Path,
    subject: Subject,
    shipped: Checkpoint,
    losses: "np.ndarray[tuple[int], np.dtype[np.float32]]",
    windows: Validation,
) -> None:
    """Put the rounded weights and what they score on record."""
    step, name, (loss, stderr) = shipped.step, shipped.name, summary(losses)
    said = f"rounded to {DTYPE} to be shipped; {subject.loss:.6f} before"
    journal = j.Journal(folder / "journal.jsonl")
    journal.append(
        j.NotedEvent(step=step, text=said),
        j.SavedEvent(step=step, checkpoint=name, sha256=shipped.sha256, bytes=shipped.bytes),
        j.EvaluatedEvent(
            step=step, checkpoint=name, loss=loss, stderr=stderr, bits_per_byte=windows.bits_per_byte(loss),
            windows=len(losses), protocol=subject.protocol,
        ),
    )  # fmt: skip
    journal.close()


def main() -> None:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", metavar="RUN:STEP")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chosen", required=True, help="how the recipe was chosen, for the card")
    arguments = parser.parse_args()
    name, _, step = arguments.checkpoint.rpartition(":")
    run = Run.open(Path(name))
    ship(run, run.checkpoint(step), arguments.folder, arguments.chosen)


if __name__ == "__main__":
    main()
