"""A training session: the thread that trains a run, owned by no screen."""

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Self

from nexus_tui.config import ConfigError, RunConfig
from nexus_tui.runs import loop
from nexus_tui.runs.averages import words
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.journal import Journal, JournalTakenError
from nexus_tui.runs.lock import BEAT, RunLock
from nexus_tui.runs.naming import NAME, new_folder
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.branching import adopt
from nexus_tui.training.channel import Channel
from nexus_tui.training.control import Control, Plan, Save, ScaleRate, Stop
from nexus_tui.training.footprint import changed, require_room
from nexus_tui.training.launch import Launch, require_share, trains_on_gpu
from nexus_tui.training.memory import give_back_memory, keep_freed_memory


class SessionError(Exception):
    """Training cannot begin; the message says why and what to do."""


class Session:
    """Trains one run in a thread of its own. Torch is imported in that thread and not before.

    The thread is no daemon and belongs to no screen: a screen that ends does not end it.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        checkpoint: Checkpoint | None,
        control: Control | None = None,
        launch: Launch = Launch(),  # noqa: B008 (it is frozen)
    ) -> None:
        self.folder = folder
        self.control = control or Control()
        self.error: BaseException | None = None
        """What ended the thread, if it was not its own decision. The journal has the sentence, or `taken`."""
        self.wake: Callable[[], None] | None = None
        """Called by the trainer's thread when the journal has grown. A hint to look; carries nothing."""
        self._config = config
        self._checkpoint = checkpoint
        self._lock = RunLock(folder)
        self._channel: Channel | None = None
        self._unreachable = ""
        self._launch = launch
        try:
            self._channel = Channel(folder, self.control)
        except OSError as error:
            self._unreachable = f"other processes cannot steer this run: it has no socket ({error})"
        self._done = threading.Event()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        if not launch.shard:  # as in `follower.follow`
            keep_freed_memory()
        self._thread = threading.Thread(target=self._train, name=f"train {folder.name}", daemon=False)

    @classmethod
    def start(
        cls,
        runs_folder: Path,
        config: RunConfig,
        name: str = "",
        control: Control | None = None,
        launch: Launch = Launch(),  # noqa: B008
        force: bool = False,
    ) -> Self:
        """Begin a new run. Its folder and journal exist when this returns.

        `name` defaults to the preset's with the first free number; `control` may have wishes already;
        `launch` says how many processes train together, of which this is the first; with `force` it is
        tried where memory will not do.
        Raises SessionError, LaunchError, TooLargeError (memory).
        """
        folder = _new_folder(runs_folder, name, config.preset or "run")
        require_share(launch, config.budget.batch)
        length = _check_corpus(config)
        if not force:
            require_room(folder.name, config, length, launch, gpu=trains_on_gpu(launch))
        try:
            runs_folder.mkdir(parents=True, exist_ok=True)
            with new_folder(folder) as beginning:
                (beginning / "run.toml").write_text(config.to_toml(), "utf-8")
                Journal(beginning / "journal.jsonl").close()
        except FileExistsError:
            raise _taken(folder) from None
        except OSError as error:
            raise SessionError(f"{folder} cannot be written ({error.strerror}).") from None
        session = cls(folder, config, None, control, launch)
        session._thread.start()
        return session

    @classmethod
    def resume(
        cls,
        folder: Path,
        which: str | int | None = None,
        steps: int = 0,
        rate_scale: float | None = None,
        launch: Launch = Launch(),  # noqa: B008
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> Self:
        """Go on with a run from a checkpoint, by step or name; None is the newest (or the start).

        With `steps`, to that step instead of the one planned; with `rate_scale`, at the planned learning
        rate times that; with `micro_batch`, so many windows at once instead of what is configured; with
        `force` also where memory will not do.
        Raises SessionError, LaunchError, RunError (no such run or checkpoint), RunLockedError (somebody
        trains it), TooLargeError (memory).
        """
        run = Run.open(folder)
        if run.kind == loop.KIND:
            raise SessionError(f"{run.name} was trained by a loop of its own: only that can go on with it.")
        if run.kind != "run":
            raise SessionError(f"{run.name} is a record: it goes on in a run of your own.")
        try:
            config = RunConfig.check(run.config, str(folder / "run.toml"))
        except ConfigError as error:
            raise SessionError(f"{run.name} cannot be resumed: {error}") from None
        if not config.data.corpus:
            raise SessionError(
                f"{run.name} was imported without a text to train on; import it again, with --corpus."
            )
        require_share(launch, config.budget.batch)
        checkpoint = run.newest_checkpoint() if which is None else run.checkpoint(which)
        if checkpoint and run.averaged(checkpoint.name):
            made = words(run.saved[checkpoint.name], run.name)
            raise SessionError(
                f"{checkpoint.name} is an {made}: training cannot go on from it; resume from one of those."
            )
        planned = steps or run.total_steps
        # Killed after its last save: its evaluation, the holdout's and the report are still to do.
        unended = checkpoint and checkpoint.step == planned and run.state == "crashed"
        if checkpoint and checkpoint.step >= planned and not unended:
            done = f"has finished its {planned} steps"
            if checkpoint.step > planned:
                done = f"is at step {checkpoint.step} already, and {planned} is behind it"
            raise SessionError(f"{run.name} {done}; resume it from an earlier one, or with more.")
        config = changed(config, micro_batch)
        if not force:
            require_room(run.name, config, 0, launch, gpu=trains_on_gpu(launch))
        session = cls(folder, config, checkpoint, None, launch)
        if steps:
            session.control.request(Plan(steps))
        if rate_scale is not None:
            session.control.request(ScaleRate(rate_scale))
        session._thread.start()
        return session

    @classmethod
    def branch(
        cls,
        run: Run,
        runs_folder: Path,
        which: str | int | None = None,
        steps: int = 0,
        name: str = "",
        rate_scale: float | None = None,
        launch: Launch = Launch(),  # noqa: B008
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> Self:
        """Go on with a recorded run in a new one, which begins with its record and the weights that it has.

        `which`, `rate_scale`, `micro_batch` and `force` are as in `resume`; `name` defaults to the record's
        with the first free number. Raises SessionError, RunError (no such checkpoint), TooLargeError.
        """
        checkpoint = run.newest_checkpoint() if which is None else run.checkpoint(which)
        if checkpoint is None:
            raise SessionError(f"{run.name} is a record without weights, so it cannot be resumed.")
        if steps <= checkpoint.step:
            more = checkpoint.step + max(checkpoint.step // 2, 1)
            raise SessionError(
                f"{run.name} is at step {checkpoint.step:,}; say how far to go on, as in --steps {more}."
            )
        folder = _new_folder(runs_folder, name, run.name)
        if not force:  # before anything is written
            config = RunConfig.check(run.config, str(run.folder / "run.toml"))
            gpu = trains_on_gpu(launch)
            require_room(folder.name, changed(config, micro_batch), 0, launch, gpu=gpu)
        try:
            adopt(run, checkpoint, folder)
        except FileExistsError:
            raise _taken(folder) from None
        except OSError as error:
            raise SessionError(f"{folder} cannot be written ({error.strerror}).") from None
        return cls.resume(
            folder, checkpoint.name, steps, rate_scale, launch, micro_batch=micro_batch, force=True
        )

    @property
    def taken(self) -> str:
        """Why the thread ended without a word in the journal: another process writes there."""
        return str(self.error) if isinstance(self.error, JournalTakenError) else ""

    @property
    def alive(self) -> bool:
        """Whether the thread still trains."""
        return not self._done.is_set()

    def stop(self) -> None:
        """Ask it to save and end. Returns at once."""
        self.control.request(Stop())

    def save(self) -> None:
        """Ask it to save the current step and go on. Returns at once."""
        self.control.request(Save())

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for `timeout` seconds."""
        # Not Thread.join: before Python 3.13 a Ctrl-C in it marks a running thread as ended (bpo-45274).
        self._done.wait(timeout)

    def _train(self) -> None:
        try:
            self._train_it()
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold the model
            self.error = error
        finally:
            self.control.end()
            if self._channel:
                self._channel.close()
            self._lock.release()
            give_back_memory()
            self._done.set()
            self._woken()

    def _train_it(self) -> None:
        from nexus_tui.training.trainer import Trainer

        run = Run(self.folder)
        trainer = Trainer(run, self._config, self.control, self._woken, self._unreachable, self._launch)
        trainer.train(self._checkpoint)

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            self._lock.beat()

    def _woken(self) -> None:
        if self.wake:
            self.wake()


def _check_corpus(config: RunConfig) -> int:
    """How many bytes of a corpus will be in memory.

    Raises SessionError, before anything is written, for one that is missing, no text or too short.
    """
    from nexus_tui.data.cache import CorpusError
    from nexus_tui.data.corpus import SMALL, check_corpus
    from nexus_tui.data.tokenizer import TokenizerError, load_tokenizer

    try:
        size = check_corpus(config.data.corpus, config.data.field)
        if config.data.tokenizer not in ("byte", "bpe"):
            load_tokenizer(config.data.tokenizer, config.model.vocab_size)
    except (CorpusError, TokenizerError) as error:
        raise SessionError(str(error)) from None
    # A token is at least a byte: fewer bytes than a window takes can never fill one.
    if size is not None and size * config.data.validation < config.data.window:
        raise SessionError(
            f"{Path(config.data.corpus).name} is too short: {config.data.validation:.0%} of its {size:,} "
            f"bytes do not fill a window of {config.data.window}; use a longer text or a smaller data.window."
        )
    return min(size or 0, SMALL)


def _new_folder(runs_folder: Path, name: str, preset: str) -> Path:
    """The folder for a new run: its name, or the preset's with the first free number. Raises SessionError."""
    if name and not NAME.fullmatch(name):
        raise SessionError(f"{name!r} cannot name a run; use letters, digits and . _ + - (100 at most).")
    if name:
        return runs_folder / name
    number = 1
    while (runs_folder / f"{preset}-{number}").exists():
        number += 1
    return runs_folder / f"{preset}-{number}"


def _taken(folder: Path) -> SessionError:
    return SessionError(f"there is a run {folder.name} already; resume it or choose another name.")


__all__ = ["RunError", "Session", "SessionError"]
