"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from nexus_tui.completion import complete_run

RunsOption = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="The runs folder (default: $NEXUS_RUNS, else ./runs)."),
]


def _device(wish: str) -> str:
    if wish not in ("auto", "cpu", "cuda"):
        from nexus_tui.training.launch import LaunchError

        raise LaunchError(f"--device is auto, cpu or cuda, not {wish}.")
    return wish


DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        help="Where to compute; auto: a GPU if there is one.",
        callback=_device,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's name, or its folder.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
