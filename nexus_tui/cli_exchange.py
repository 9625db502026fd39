"""The commands that give models and records to other tools, and take models from them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nexus_tui.cli_options import RunsOption

app = typer.Typer()


@app.command(epilog="Example: nexus-tui export nexus-byte-1:best my-model --dtype bfloat16")
def export(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN[:STEP]", help="RUN alone means its true best.", show_default=False),
    ],
    place: Annotated[
        Path, typer.Argument(metavar="DIR", help="What to write; it must be new.", show_default=False)
    ],
    dtype: Annotated[
        str, typer.Option(metavar="float32|bfloat16|float16", help="What the weights are rounded to.")
    ] = "float32",
    replace: Annotated[bool, typer.Option("--replace", help="An earlier export may be replaced.")] = False,
    runs: RunsOption = None,
) -> None:
    """Write a checkpoint for other tools: a Hugging Face model folder."""
    from nexus_tui.exchange.folder import DTYPES, export_folder
    from nexus_tui.exchange.place import ExchangeError
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.store import resolve, runs_folder

    if dtype not in DTYPES:
        raise ExchangeError(f"--dtype {dtype}: choose one of {', '.join(DTYPES)}.")
    opened, checkpoint = resolve(all_runs(runs_folder(runs)), run)
    written = export_folder(opened, checkpoint, place, dtype, replace=replace)
    print(f"{opened.name}:{checkpoint.name} is in {place}, in {written.dtype}.")
    if rounded := written.rounded:
        said = rounded.why or f"{rounded.loss:.4f} nats per token, {rounded.bits_per_byte:.4f} bits per byte"
        print(f"validation loss, rounded: {said}", file=sys.stderr if rounded.why else sys.stdout)


@app.command("import", epilog="Example: nexus-tui import my-model --corpus my.txt")
def import_(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A Hugging Face folder of a Jamba model.", show_default=False),
    ],
    name: Annotated[str, typer.Option(help="The run's name (default: the folder's).")] = "",
    corpus: Annotated[
        str, typer.Option(help="Evaluate it on this text, which it can then be trained on.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="The recipe by which to train on, as in train."),
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Make a run of a model folder: its weights are step 0. Only models with one expert a layer."""
    from nexus_tui.exchange.importing import import_folder
    from nexus_tui.runs import truth
    from nexus_tui.runs.store import runs_folder

    run = import_folder(folder, runs_folder(runs), name, corpus=corpus, settings=settings or [])
    parameters = run.started.parameters if run.started else 0
    best = truth.best(run)
    print(f"{run.name}: {parameters:,} parameters, as step 0 of a new run.")
    if best:
        loss, bits = best.evaluation.loss, best.evaluation.bits_per_byte
        print(f"validation loss {loss:.4f} nats per token, {bits:.4f} bits per byte")
        print(f"nexus-tui train --resume {run.name} trains on.")
