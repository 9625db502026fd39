"""The commands that give models and records to other tools, and take models from them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nexus_tui.cli_options import RunsOption
from nexus_tui.completion import complete_checkpoint

app = typer.Typer()


_ENDINGS = {".csv": "csv", ".parquet": "parquet", ".gguf": "gguf"}


@app.command(
    epilog="Example: nexus-tui export nexus-byte-1:best my-model · nexus-tui export nexus-byte-1 --to csv"
)
def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN[:STEP]",
            help="Of a model: RUN alone means its true best.",
            autocompletion=complete_checkpoint,
        ),
    ],
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PLACE]",
            help="A new folder or file. Without one csv is printed, tensorboard kept in the run's folder.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="huggingface, gguf: the model; csv, parquet, tensorboard: the record (default: by PLACE).",
        ),
    ] = "",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="float32|bfloat16|float16",
            help="What a model's weights are written as (default: as they are kept).",
        ),
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="An earlier export may be replaced.")] = False,
    runs: RunsOption = None,
) -> None:
    """Write a checkpoint, or the record of a run, for other tools."""
    from nexus_tui.exchange.place import ExchangeError
    from nexus_tui.exchange.records import RECORDS

    to = to or _ENDINGS.get(place.suffix.lower() if place else "", "huggingface")
    if to in RECORDS:
        _export_record(run, to, place, replace, runs)
    elif to not in ("huggingface", "gguf"):
        raise ExchangeError(f"--to {to}: choose huggingface, gguf, {', '.join(RECORDS)}.")
    elif place is None:
        raise ExchangeError(f"--to {to}: name what to write, as in `nexus-tui export {run} my-model`.")
    else:
        _export_model(run, to, place, dtype, replace, runs)


def _export_record(run: str, to: str, place: Path | None, replace: bool, runs: Path | None) -> None:
    from nexus_tui.exchange.records import export_record
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.store import runs_folder

    found = all_runs(runs_folder(runs)).find(run)
    written = export_record(found, to, place, replace=replace)
    if isinstance(written, str):
        sys.stdout.write(written)
    else:
        print(f"{found.name} is in {written}.")


def _export_model(run: str, to: str, place: Path, dtype: str, replace: bool, runs: Path | None) -> None:
    from nexus_tui.exchange.folder import DTYPES, export_folder, stored_dtype
    from nexus_tui.exchange.place import ExchangeError
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.store import resolve, runs_folder

    if dtype and dtype not in DTYPES:
        raise ExchangeError(f"--dtype {dtype}: choose one of {', '.join(DTYPES)}.")
    opened, checkpoint = resolve(all_runs(runs_folder(runs)), run)
    if to == "gguf":
        from nexus_tui.exchange.gguf_file import export_gguf

        kept = dtype or stored_dtype(checkpoint)
        export_gguf(opened, checkpoint, place, kept, replace=replace)
        print(f"{opened.name}:{checkpoint.name} is in {place}, in {kept}.")
        return
    if dtype not in ("", "float32", stored_dtype(checkpoint)):
        print("scoring the rounded weights on the validation text …", file=sys.stderr)
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

    if corpus:
        print(f"scoring it on the validation part of {corpus} …", file=sys.stderr)
    run = import_folder(folder, runs_folder(runs), name, corpus=corpus, settings=settings or [])
    parameters = run.started.parameters if run.started else 0
    best = truth.best(run)
    print(f"{run.name}: {parameters:,} parameters, as step 0 of a new run.")
    if best:
        loss, bits = best.evaluation.loss, best.evaluation.bits_per_byte
        print(f"validation loss {loss:.4f} nats per token, {bits:.4f} bits per byte")
        print(f"nexus-tui train --resume {run.name} trains on.")
