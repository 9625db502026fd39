"""The commands: parse, call, print. Each imports what it needs when it runs, so that `--help` is instant."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus_tui import __version__, cli_corpora, cli_exchange, cli_steering, cli_training, foreground
from nexus_tui.cli_options import DeviceOption, JsonOption, RunArgument, RunsOption
from nexus_tui.completion import answer, complete_checkpoint
from nexus_tui.foreground import THE_ANSWER_IS_NO

app = typer.Typer(
    name="nexus-tui",
    help="Train small language models in the terminal, and know which checkpoint is the best.",
    epilog="Without a command: open the app on DIR, $NEXUS_RUNS or ./runs. Texts that it writes while it "
    "trains use a quarter of a core at most; --sampling-cpu SHARE changes that.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_training.app)
app.add_typer(cli_steering.app)
app.add_typer(cli_exchange.app)
app.add_typer(cli_corpora.app)


PROGRAM = "nexus-tui"
_ITS_OWN = ("-h", "--help", "--version", "--install-completion", "--show-completion")
"""Options of the program and not of a command."""


def main() -> None:
    """Run the command line. `nexus-tui [DIR]` is `nexus-tui open [DIR]`."""
    commands = typer.main.get_group(app).commands
    arguments = sys.argv[1:]
    if not arguments or (arguments[0] not in commands and arguments[0] not in _ITS_OWN):
        arguments = ["open", *arguments]
    debug = "--debug" in arguments
    with foreground.one_sentence(debug):
        app([argument for argument in arguments if argument != "--debug"], prog_name=PROGRAM)


def complete() -> None:
    """Answer the shell whose tab was pressed, and end."""
    answer(lambda: app([], prog_name=PROGRAM))


@app.callback(invoke_without_command=True)
def _global(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"nexus-tui {__version__}")
        raise typer.Exit


@app.command("open", hidden=True)
def open_app(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A runs folder, or one run.")] = None,
    sampling_cpu: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.01,
            max=1,
            help="Of one core: what sampling may use while a run is trained here (default: 0.25).",
            show_default=False,
        ),
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Open the app on a runs folder or one run."""
    _exit(foreground.open_app(folder or runs, sampling_cpu))


@app.command(epilog="Example: nexus-tui runs --filter 'model:byte lr>=1e-3 best<2.0 -note:debug'")
def runs(
    wanted: Annotated[
        str, typer.Option("--filter", metavar="FILTER", help="Only these: as / in the app.")
    ] = "",
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first."""
    from nexus_tui import console
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.store import runs_folder
    from nexus_tui.runs.summaries import Summaries

    root = runs_folder(runs)
    store = all_runs(root, summaries=Summaries(root))
    own, shipped = store.refresh(), store.shipped()
    shown = console.chosen([*own, *shipped], wanted, root)
    if as_json:
        _print_json([console.run_row(run) for run in shown])
    else:
        console.print_runs(shown)
    store.save_summaries()
    if wanted:
        print(f"{len(shown)} of {len(own) + len(shipped)} runs", file=sys.stderr)
    elif not own and not as_json:
        print(f"There are no runs in {root}. Begin with: nexus-tui train --model nexus-tiny", file=sys.stderr)


@app.command(epilog="Example: nexus-tui checkpoints nexus-byte-1")
def checkpoints(run: RunArgument, runs: RunsOption = None, as_json: JsonOption = False) -> None:
    """List a run's checkpoints with the true best ★ and those that cannot be told from it ≈."""
    from nexus_tui import console
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.store import runs_folder

    opened = all_runs(runs_folder(runs)).find(run)
    if as_json:
        _print_json(console.checkpoint_rows(opened))
    else:
        console.print_checkpoints(opened)


@app.command(epilog="Example: nexus-tui compare nexus-byte:1400 nexus-byte:2000 --json")
def compare(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN[:STEP]",
            help="Two to eight; RUN alone means its true best.",
            show_default=False,
            autocompletion=complete_checkpoint,
        ),
    ],
    deep: Annotated[
        bool, typer.Option("--deep", help="Where the loss lives: computes that of every token, once.")
    ] = False,
    average: Annotated[
        str, typer.Option(metavar="uniform|ema", help="Score their average, too.", show_default=False)
    ] = "",
    decay: Annotated[
        float, typer.Option(help="Of ema: what each counts of the next later one.", show_default=False)
    ] = 0.5,
    save: Annotated[
        str, typer.Option(metavar="NAME", help="Keep the average in the run of the latest.")
    ] = "",
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Checkpoints side by side, and of every pair whether one is better or the text cannot tell."""
    from nexus_tui import console_compare as console
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.comparison import compare as judge
    from nexus_tui.runs.comparison import find_subjects
    from nexus_tui.runs.store import runs_folder

    subjects = find_subjects(all_runs(runs_folder(runs)), checkpoints)
    found = judge(subjects)
    if deep:
        found = judge(console.measured(subjects))
    mean, kept = console.averaged(list(found.subjects), average, decay, save)
    if as_json:
        _print_json(console.as_dict(found, deep, mean, kept))
        return
    console.print_comparison(found)
    if deep:
        console.print_deep(found)
    if mean:
        console.print_average(mean, kept)


@app.command(epilog="Example: nexus-tui audit nexus-byte-1 · nexus-tui audit ../transformers-output --json")
def audit(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN[:STEP]|DIR",
            help="A run, or a folder of runs; others' too.",
            show_default=False,
            autocompletion=complete_checkpoint,
        ),
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Hash every file of every checkpoint.")] = False,
    reevaluate: Annotated[
        bool, typer.Option("--reevaluate", help="Compute STEP's loss anew (default: the best's) and compare.")
    ] = False,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every name that claims to be the best checkpoint. Exit status 1 if one is wrong."""
    from nexus_tui import console_audit
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.audit import as_dict
    from nexus_tui.runs.audit import audit as judge
    from nexus_tui.runs.run import RunError
    from nexus_tui.runs.store import find_step, runs_folder

    found, step = find_step(all_runs(runs_folder(runs)), run)
    if reevaluate and len(found) > 1:
        raise RunError("--reevaluate takes one run; name it.")
    rows, fine = [], True
    for opened in found:
        result = judge(opened, verify=verify)
        fine = fine and result.ok
        rows.append(as_dict(result))
        if not as_json:
            console_audit.print_audit(result)
    if reevaluate:
        from nexus_tui.training.reevaluate import reevaluate as compute

        again = compute(found[0], step or (result.best.name if result.best else "best"))
        fine = fine and again.agrees
        rows[0]["reevaluation"] = again.as_dict()
        if not as_json:
            console_audit.print_reevaluation(again)
    if as_json:
        _print_json(rows[0] if len(rows) == 1 else rows)
    if not fine:
        raise typer.Exit(THE_ANSWER_IS_NO)


@app.command(epilog="Example: nexus-tui forecast nexus-byte-1")
def forecast(run: RunArgument, runs: RunsOption = None, as_json: JsonOption = False) -> None:
    """What the next evaluations will be, with intervals, and how earlier forecasts did."""
    from nexus_tui import console
    from nexus_tui.runs.report import forecast_facts
    from nexus_tui.runs.store import Runs, runs_folder

    told = forecast_facts(Runs(runs_folder(runs)).find(run))
    if as_json:
        _print_json(told)
    else:
        console.print_forecast(told)


@app.command(epilog="Example: nexus-tui report nexus-byte-1 -o report.md")
def report(
    run: RunArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default=False),
    ] = None,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """The progress report of a run, as Markdown, made of what is on record."""
    from nexus_tui.runs.report import facts, markdown
    from nexus_tui.runs.store import Runs, runs_folder

    told = facts(Runs(runs_folder(runs)).find(run))
    text = json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n" if as_json else markdown(told)
    if output:
        output.write_text(text, "utf-8")
    else:
        print(text, end="")


CheckpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN[:STEP]",
        help="RUN alone means its true best.",
        show_default=False,
        autocompletion=complete_checkpoint,
    ),
]


@app.command(epilog='Example: nexus-tui sample nexus-byte-1:best "To be" --temperature 0.7 --seed 3')
def sample(
    run: CheckpointArgument,
    prompt: Annotated[str, typer.Argument(help="The text to continue; - reads it from standard input.")] = "",
    step: Annotated[int, typer.Option(help="The checkpoint's step, as in RUN:STEP.", show_default=False)] = 0,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token.")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Only the k likeliest tokens; 0 is off.")] = 0,
    top_p: Annotated[float, typer.Option(help="Only the likeliest tokens up to this mass.")] = 1.0,
    min_p: Annotated[
        float, typer.Option(help="Only tokens of this share of the likeliest's probability.")
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1: tokens that the text has already are less likely.")
    ] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text (\\n: a line break); may be repeated."),
    ] = None,
    device: DeviceOption = "auto",
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Continue a prompt with a checkpoint; the text streams to standard output."""
    from nexus_tui import console_sample as console

    opened, checkpoint = _checkpoint(run, step, runs)
    from nexus_tui.lm.drawing import Sampling

    sampling = Sampling(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, max_tokens=max_tokens, seed=seed,
    )  # fmt: skip
    text = console.read_prompt(prompt)
    if as_json:
        _print_json(console.sampled(opened, checkpoint, text, sampling, stop or [], device))
    else:
        console.print_sample(checkpoint, text, sampling, stop or [], device)


@app.command(epilog="Example: nexus-tui score nexus-byte-1:best sonnet.txt --json")
def score(
    run: CheckpointArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The text; - reads standard input.", show_default=False)
    ],
    tokens: Annotated[bool, typer.Option("--tokens", help="Every token with its nats, too.")] = False,
    device: DeviceOption = "auto",
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a text costs under a checkpoint: nats and bits per byte, each token given those before it."""
    from nexus_tui import console_sample as console

    text = console.read_text(file)
    told = console.scored(*_checkpoint(run, 0, runs), text, tokens, device)
    if as_json:
        _print_json(told)
    else:
        console.print_score(told)


def _checkpoint(reference: str, step: int, runs: Path | None) -> tuple[Any, Any]:
    """The run and the checkpoint that RUN[:STEP] means."""
    from nexus_tui.interop.opening import all_runs
    from nexus_tui.runs.run import RunError
    from nexus_tui.runs.store import resolve, runs_folder

    if step and ":" in reference:
        raise RunError(f"{reference} with --step {step} names the step twice: leave one of them out.")
    return resolve(all_runs(runs_folder(runs)), f"{reference}:{step}" if step else reference)


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the models that `nexus-tui train --model` knows."""
    from nexus_tui.config import RunConfig
    from nexus_tui.resources import model_files

    rows = {name: RunConfig.load(name).description for name in sorted(model_files())}
    if as_json:
        _print_json([{"name": name, "description": text} for name, text in rows.items()])
    else:
        width = max(map(len, rows))
        for name, text in rows.items():
            print(f"{name:{width}}  {text}")


def _exit(status: int) -> None:
    if status:
        raise typer.Exit(status)


def _print_json(value: Any) -> None:
    from nexus_tui.untrusted import as_json

    print(as_json(value))
