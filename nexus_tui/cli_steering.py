"""The commands for a run that another process trains: steer it, open the app on it; and repeat one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui import foreground
from nexus_tui.cli_options import RunArgument, RunsOption
from nexus_tui.completion import complete_run

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run
    from nexus_tui.training.control import Act

app = typer.Typer()


@app.command(epilog="Example: nexus-tui pause nexus-byte-1")
def pause(run: RunArgument, runs: RunsOption = None) -> None:
    """Let a training wait after its current step, with everything in memory."""
    from nexus_tui.training.control import Pause

    _ask(run, runs, Pause(), "paused")


@app.command("continue", epilog="Example: nexus-tui continue nexus-byte-1")
def go_on(run: RunArgument, runs: RunsOption = None) -> None:
    """Let a paused training go on."""
    from nexus_tui.training.control import Continue

    _ask(run, runs, Continue(), "continues")


@app.command(epilog="Example: nexus-tui stop nexus-byte-1")
def stop(
    run: RunArgument,
    discard: Annotated[bool, typer.Option("--discard", help="Leave the steps since the last save.")] = False,
    runs: RunsOption = None,
) -> None:
    """Let a training save and end. It can be resumed later."""
    from nexus_tui.training.control import Stop

    _ask(run, runs, Stop(not discard), "stopped without a save" if discard else "saved and stopped")


@app.command(epilog="Example: nexus-tui save nexus-byte-1")
def save(run: RunArgument, runs: RunsOption = None) -> None:
    """Save a checkpoint now, and go on."""
    from nexus_tui.training.control import Save

    _ask(run, runs, Save(), "saved")


@app.command(epilog="Example: nexus-tui evaluate nexus-byte-1")
def evaluate(run: RunArgument, runs: RunsOption = None) -> None:
    """Save and evaluate now, and go on."""
    from nexus_tui.training.control import Evaluate

    _ask(run, runs, Evaluate(), "saved and evaluated")


@app.command("sample-now", epilog="Example: nexus-tui sample-now nexus-byte-1")
def sample_now(run: RunArgument, runs: RunsOption = None) -> None:
    """Continue the fixed prompts with the weights of now, and put that on record."""
    from nexus_tui.training.control import Sample

    _ask(run, runs, Sample(), "sampled")


@app.command(epilog="Example: nexus-tui rate nexus-byte-1 0.5")
def rate(
    run: RunArgument,
    scale: Annotated[float, typer.Argument(min=0, help="1 is what was planned.", show_default=False)],
    runs: RunsOption = None,
) -> None:
    """Multiply the planned learning rate from the next step on."""
    from nexus_tui.training.control import ScaleRate

    _ask(run, runs, ScaleRate(scale), f"learning rate × {scale:g}")


@app.command(epilog="Example: nexus-tui plan nexus-byte-1 3000")
def plan(
    run: RunArgument,
    steps: Annotated[int, typer.Argument(min=1, help="The last step.", show_default=False)],
    runs: RunsOption = None,
) -> None:
    """Train longer or shorter than was planned; the rest of the schedule is stretched to it."""
    from nexus_tui.training.control import Plan

    _ask(run, runs, Plan(steps), f"trains to step {steps:,}")


@app.command(epilog='Example: nexus-tui note nexus-byte-1 "the loss has settled"')
def note(
    run: RunArgument,
    text: Annotated[str, typer.Argument(help="A sentence.", show_default=False)],
    runs: RunsOption = None,
) -> None:
    """Put a note on a run's record: at its newest step."""
    from nexus_tui.runs.notes import note as append
    from nexus_tui.training.control import Note

    found = _find(run, runs)
    if found.holder:
        _ask(run, runs, Note(text), "noted")
    else:
        append(found.folder, found.step, text)
        print(f"{found.name}: noted at step {found.step:,}.")


@app.command(epilog="Example: nexus-tui attach nexus-byte-1")
def attach(
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="Default: the one that is trained.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = "",
    runs: RunsOption = None,
) -> None:
    """Open the app on a run that another process trains: same screens, same keys."""
    from nexus_tui.runs.run import RunError
    from nexus_tui.runs.store import Runs, runs_folder

    root = runs_folder(runs)
    live = [one for one in Runs(root).refresh() if one.holder]
    found = _find(run, runs) if run else next(iter(live), None)
    if found is None:
        raise RunError(f"nobody trains a run in {root} now; nexus-tui runs lists what is there.")
    if not found.holder:
        raise RunError(f"nobody trains {found.name} now; `nexus-tui {found.folder}` opens it.")
    if foreground.open_app(found.folder):
        raise typer.Exit(foreground.WRONG_INPUT)


@app.command(epilog="Example: nexus-tui replay nexus-byte-1")
def replay(
    run: RunArgument,
    name: Annotated[str, typer.Option(help="Of the repetition (default: RUN-replay).")] = "",
    runs: RunsOption = None,
) -> None:
    """Repeat a run with the same wishes at the same steps. Exit status 1 if a loss differs."""
    from nexus_tui.runs.run import Run
    from nexus_tui.runs.store import runs_folder
    from nexus_tui.training import replay as again
    from nexus_tui.training.session import Session

    original, sessions = _find(run, runs), list[Session]()

    def begin() -> Session:
        sessions.append(again.begin(original, runs_folder(runs), name))
        return sessions[0]

    if status := foreground.train_to_the_end(begin):
        raise typer.Exit(status)
    repetition = Run(sessions[0].folder)
    parts = again.difference(original, repetition)
    if parts is None:
        print(f"{repetition.name}: every loss of {original.step:,} steps is that of {original.name}.")
        return
    losses = f"{parts.repeated!r}, not {parts.loss!r}"
    print(f"{repetition.name} parts from {original.name} at step {parts.step:,}: {losses}.")
    raise typer.Exit(foreground.THE_ANSWER_IS_NO)


def _find(run: str, runs: Path | None) -> "Run":
    from nexus_tui.runs.store import Runs, runs_folder

    return Runs(runs_folder(runs)).find(run)


def _ask(run: str, runs: Path | None, act: "Act", done: str) -> None:
    from nexus_tui.training.remote import ask

    found = _find(run, runs)
    reply = ask(found, act)
    print(f"{found.name}: {done} at step {reply.step:,}.")
