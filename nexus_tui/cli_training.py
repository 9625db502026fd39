"""The command that trains without a screen, and the one that shows what a step learns from."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui import foreground
from nexus_tui.cli_options import DeviceOption, JsonOption, RunArgument, RunsOption
from nexus_tui.completion import complete_checkpoint
from nexus_tui.untrusted import visible

if TYPE_CHECKING:
    from nexus_tui.exchange.mirror import Mirror
    from nexus_tui.runs.run import Run
    from nexus_tui.runs.store import Runs
    from nexus_tui.training.session import Session

app = typer.Typer()
NEWLINE = "\n"


@app.command(epilog="Example: nexus-tui train --model nexus-tiny --set optimizer.lr=2e-3 --name first")
def train(
    model: Annotated[
        str, typer.Option(help="A model of `nexus-tui models`, or a .toml file (default: nexus-byte).")
    ] = "",
    corpus: Annotated[
        str, typer.Option(help="A corpus by name, or a file or folder: text, JSON lines, Parquet.")
    ] = "",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps (default: the model's).", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides weights and batches.", show_default=False)] = -1,
    name: Annotated[str, typer.Option(help="The run's name (default: the model's, numbered).")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the configuration.")
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(help="Share of the text on which only the winner is scored.", show_default=False),
    ] = 0.0,
    resume: Annotated[
        str, typer.Option(metavar="RUN[:STEP]", help="Go on with a run.", autocompletion=complete_checkpoint)
    ] = "",
    from_step: Annotated[
        str, typer.Option("--from", metavar="STEP", help="… from this checkpoint (default: newest).")
    ] = "",
    rate_scale: Annotated[
        float | None,
        typer.Option(
            min=0, max=1000, help="… with the planned learning rate times this.", show_default=False
        ),
    ] = None,
    micro_batch: Annotated[
        int,
        typer.Option(min=0, help="Windows at once: fewer take less memory.", show_default=False),
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Try it where memory will not do.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Train in a process of its own, and come back at once.")
    ] = False,
    shard: Annotated[
        bool, typer.Option("--shard", help="Under torchrun: divide the model among the processes (FSDP2).")
    ] = False,
    device: DeviceOption = "auto",
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines on a terminal, too.")] = False,
    logs: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="tensorboard|wandb", help="Keep such a log, too, in the run's folder."),
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Train without a screen: a progress bar on a terminal, plain lines elsewhere. Ctrl-C saves and stops.

    With --resume, --steps says how far to go instead of what was planned. A run that came with the program
    goes on in a new one (--name), which begins with its record. Under torchrun all processes train one run
    together: torchrun --nproc-per-node 2 -m nexus_tui train --name NAME.
    """
    from nexus_tui.exchange.tools import check
    from nexus_tui.training.launch import LaunchError, launched, patiently

    for tool in logs or []:
        check(tool)
    launch = launched(shard, device=device)
    if launch.size > 1 and detach:
        raise LaunchError("--detach is for one process; torchrun keeps its processes together.")
    if launch.most_restarts and not (name or resume):
        raise LaunchError("with --max-restarts give the run a --name, so that it can go on with it.")
    if not launch.leads:
        from nexus_tui.training.follower import follow

        foreground.leave(follow(launch))

    of_resuming = (("--from", from_step), ("--rate-scale", rate_scale is not None))
    of_beginning = (
        ("--model", model),
        ("--corpus", corpus),
        ("--seed", seed >= 0),
        ("--set", settings),
        ("--holdout", holdout),
    )
    wrong = [option for option, given in (of_beginning if resume else of_resuming) if given]
    if wrong:
        from nexus_tui.config import ConfigError

        if resume:
            raise ConfigError(f"{wrong[0]} is for a new run; {resume} goes on as it was begun.")
        raise ConfigError(f"{wrong[0]} needs --resume RUN.")
    planned = steps or 0

    def begin() -> "Session":  # imports here: with --detach it runs in the new process, before any thread
        from nexus_tui.config import RunConfig
        from nexus_tui.runs.store import Runs, runs_folder
        from nexus_tui.training.session import Session

        root = runs_folder(runs)
        if launch.restarts and (root / name / "journal.jsonl").is_file() and name:
            return Session.resume(root / name, launch=launch)
        if resume:
            run, named = _run_and_step(Runs(root), resume)
            which = None if launch.restarts else from_step or named or None
            scale = None if launch.restarts else rate_scale
            if run.kind == "recorded":
                return Session.branch(
                    run, root, which, planned, name, scale, launch, micro_batch=micro_batch, force=force
                )
            return Session.resume(
                run.folder, which, planned, scale, launch, micro_batch=micro_batch, force=force
            )
        overrides = _overrides(settings or [], corpus, planned, seed, holdout, micro_batch)
        return Session.start(
            root, RunConfig.load(model or "nexus-byte", overrides), name, launch=launch, force=force
        )

    mirrors: list[Mirror] = []

    def mirrored() -> "Session":
        from nexus_tui.exchange.mirror import Mirror

        session = patiently(launch, begin)
        mirrors.extend(Mirror(session, tool) for tool in dict.fromkeys(logs or []))
        return session

    def last() -> None:
        for mirror in mirrors:
            mirror.join()
            if mirror.failure:
                print(f"nexus-tui: {mirror.failure}", file=sys.stderr)

    if detach:
        status = foreground.detach(mirrored, last)
    else:
        status = foreground.train_to_the_end(mirrored, plain=headless, last=last)
    if launch.size > 1:
        foreground.leave(status)
    if status:
        raise typer.Exit(status)


@app.command(epilog="Example: nexus-tui batch nexus-byte-1 1412")
def batch(
    run: RunArgument,
    step: Annotated[int, typer.Argument(help="Counted from 1.", show_default=False)],
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the windows that a step learns from: place in the training part, in tokens, and text."""
    from nexus_tui.runs.store import Runs, runs_folder
    from nexus_tui.training.batches import batch_of

    found = Runs(runs_folder(runs)).find(run)
    config, windows = batch_of(found, step)
    if as_json:
        rows = [{"place": window.place, "text": window.text} for window in windows]
        told = {"run": found.name, "step": step, "seed": config.run.seed, "windows": rows}
        print(json.dumps(told, ensure_ascii=False))
        return
    size = f"{len(windows)} windows of {config.data.window} tokens"
    print(f"{found.name}: step {step:,} with seed {config.run.seed} learns from {size}")
    for window in windows:
        print(f"{window.place:>12,}  {visible(window.text.replace(NEWLINE, '␊'))}")


def _run_and_step(runs: "Runs", reference: str) -> tuple["Run", str]:
    """RUN or RUN:STEP as the run and the checkpoint that is named. Raises RunError."""
    from nexus_tui.runs.run import RunError

    try:
        return runs.find(reference), ""
    except RunError:
        name, _, step = reference.rpartition(":")
        if not name:
            raise
        return runs.find(name), step


def _overrides(
    settings: list[str], corpus: str, steps: int, seed: int, holdout: float, micro_batch: int
) -> list[str]:
    """The options as `table.key=value`; those that say otherwise than --set win."""
    options = {
        "data.corpus": json.dumps(corpus) if corpus else "",
        "budget.steps": str(steps) if steps else "",
        "run.seed": str(seed) if seed >= 0 else "",
        "data.holdout": str(holdout) if holdout else "",
        "budget.micro_batch": str(micro_batch) if micro_batch else "",
    }
    return [*settings, *(f"{key}={value}" for key, value in options.items() if value)]
