"""A process in the foreground of a terminal: the app, a training run to its end, and how either ends.

Needs no command line parser, so that the app alone starts without one.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

GARBAGE = (20_000, 20, 100)
"""How seldom Python looks for cycles of garbage while the app runs: its usual (700, 10, 10) took a tenth of
the processor time until a run of a million values was on the screen."""
THE_ANSWER_IS_NO, WRONG_INPUT, WORK_FAILED, INTERRUPTED = 1, 2, 3, 130


def open_app(folder: Path | None = None, sampling_share: float | None = None) -> int:
    """Open the app on a runs folder ($NEXUS_RUNS, else ./runs) or one run. Returns the exit status.

    `sampling_share` of one core is the most that sampling may use while a run is trained here.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        print(
            "The app needs a terminal that can draw; elsewhere there are: nexus-tui train, runs, sample.",
            file=sys.stderr,
        )
        return WRONG_INPUT
    if folder and len(folder.parts) == 1 and not folder.exists():
        print(
            f"nexus-tui: there is no command and no folder {folder}; see nexus-tui --help.", file=sys.stderr
        )
        return WRONG_INPUT
    gc.set_threshold(*GARBAGE)
    from nexus_tui.tui.app import SAMPLING_SHARE, NexusApp

    chosen = folder or Path(os.environ.get("NEXUS_RUNS") or "runs")
    is_run = (chosen / "journal.jsonl").is_file() or (folder is not None and _is_foreign(folder))
    nexus = NexusApp(
        chosen.parent if is_run else chosen,
        open_run=chosen.name if is_run else "",
        sampling_share=SAMPLING_SHARE if sampling_share is None else sampling_share,
    )
    signal.signal(signal.SIGHUP, lambda *_: nexus.hang_up())
    signal.signal(signal.SIGTERM, lambda *_: nexus.from_elsewhere(nexus.terminate))
    signal.signal(signal.SIGUSR1, lambda *_: nexus.from_elsewhere(nexus.save_now))
    outcome = nexus.run()
    for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
        signal.signal(number, signal.SIG_DFL)  # the screen's own would wake a screen that has ended
    if nexus.lost:
        silence()
    session = nexus.session
    if session and session.alive:
        if outcome == "keep":
            name = session.folder.name
            with suppress(OSError):  # the terminal may go at this very moment
                print(f"{name} trains on here. Ctrl-C saves and stops; `nexus-tui attach {name}` shows it.")
        else:
            session.stop()
        return train_to_the_end(lambda: session)
    return nexus.return_code or 0


def detach(begin: Callable[[], Any], last: Callable[[], None] | None = None) -> int:
    """Begin a session in a process of its own, of no terminal, and say its name. Returns the exit status.

    `last` is called there when it has ended. Call it before anything has made a thread: a fork copies none.
    """
    told, tell = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(told)
        os.setsid()
        silence()
        os._exit(_detached(begin, tell, last))
    os.close(tell)
    with open(told, encoding="utf-8") as answer:  # noqa: PTH123 (a descriptor)
        status, _, words = answer.read().partition(" ")
    if status != "0":
        print(f"nexus-tui: {words or 'the process ended before it began to train.'}", file=sys.stderr)
        return int(status or WORK_FAILED)
    print(f"{words} trains as process {process}; `nexus-tui attach {words}` shows it, `stop` ends it.")
    return 0


def _detached(begin: Callable[[], Any], tell: int, last: Callable[[], None] | None) -> int:
    """Train in the process that `detach` made; says in `tell` how it began."""

    def announced() -> Any:
        session = begin()
        os.write(tell, f"0 {session.folder.name}".encode())
        os.close(tell)
        return session

    try:
        return train_to_the_end(announced, last=last)
    except Exception as error:
        with suppress(OSError):  # it has begun: the journal says how it ended
            os.write(tell, f"{_status(error)} {error}".encode())
        return WORK_FAILED


def train_to_the_end(
    begin: Callable[[], Any], *, plain: bool = False, last: Callable[[], None] | None = None
) -> int:
    """Begin a session and print its progress to its end. Returns the exit status.

    On a terminal with a bar, unless it is to be `plain`. `last` is called when it has ended.

    Ctrl-C and SIGTERM ask it to save and stop, SIGUSR1 to save and go on; a terminal that hangs up ends the
    printing and nothing else. Signals come by a handler and not as KeyboardInterrupt, which could strike
    anywhere and leave the trainer's thread running behind an exit that waits for it.
    """
    signals: list[int] = []
    sessions: list[Any] = []

    def save(*_: object) -> None:
        for session in sessions:
            session.save()

    def stop(number: int, _: object) -> None:
        if not signals:
            with suppress(OSError):
                os.write(2, "\nsaving and stopping …\n".encode())
        signals.append(number)
        for session in sessions:
            session.stop()

    handlers: dict[signal.Signals, Callable[..., None]] = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGUSR1: save,
        signal.SIGHUP: lambda *_: silence(),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        sessions.append(begin())
        if signals:
            sessions[0].stop()
        ended = _followed(sessions[0], plain)
        if last:
            last()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if sessions[0].taken:
        with suppress(OSError):
            print(f"nexus-tui: {sessions[0].taken}", file=sys.stderr)
    if sessions[0].error or ended == "failed":
        return WORK_FAILED
    return INTERRUPTED if signals else 0


def _followed(session: Any, plain: bool) -> str:
    """Print what a session does until it ends. Whatever goes wrong with the printing, it ends first."""
    from nexus_tui import console

    try:
        try:
            return console.follow(session, plain)
        except OSError:  # who read it has gone
            silence()
            return console.follow(session, plain)
    finally:
        session.join()


def leave(status: int) -> NoReturn:
    """End the process at once: taking torch and its compiler down takes Python seconds, and saves nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def silence() -> None:
    """Nobody reads any more: let what is printed from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def one_sentence(debug: bool = False) -> Iterator[None]:
    """Let a failure that a user can cause end in one sentence; with `debug`, in a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        from nexus_tui.untrusted import visible

        print(f"nexus-tui: {visible(str(error))}", file=sys.stderr)
        sys.exit(_status(error))


def _status(error: Exception) -> int:
    """Our own exceptions are about what was asked for; others about what went wrong with it."""
    return WRONG_INPUT if type(error).__module__.startswith("nexus_tui") else WORK_FAILED


def _is_foreign(path: Path) -> bool:
    """Whether a path is another tool's run. Raises RunError, in one sentence, if it cannot be read."""
    if not path.exists() or any(path.glob("*/journal.jsonl")):
        return False
    from nexus_tui.interop.opening import open_foreign

    return open_foreign(path) is not None
