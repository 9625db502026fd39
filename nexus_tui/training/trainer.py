"""The trainer: steps, evaluates, saves and samples, and writes each of these into the run's journal."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from nexus_tui import __version__
from nexus_tui.config import RunConfig
from nexus_tui.data.cache import Cancelled
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.data.tokenizer import load_tokenizer
from nexus_tui.lm import compiling
from nexus_tui.lm.hybrid import parameter_count
from nexus_tui.lm.selective_scan import warm_up
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import (
    Checkpoint,
    link_best,
    remove_unfinished,
    save_window_losses,
)
from nexus_tui.runs.predictions import predicted_events
from nexus_tui.runs.reading import CONFIG
from nexus_tui.runs.refusals import is_refusal, refusal
from nexus_tui.runs.report import REPORT, write_report
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.device import CPU, choose
from nexus_tui.training.device import name as device_name
from nexus_tui.training.evaluation import Validation, summary, validation
from nexus_tui.training.failures import diverged_event, last_good, passed_over, too_large
from nexus_tui.training.gpu import learner_for
from nexus_tui.training.health import DivergedError, SpikeWatch, out_of_memory
from nexus_tui.training.heldout import scored, unscored
from nexus_tui.training.launch import Launch
from nexus_tui.training.learner import TOKENIZER, Learner, Stepped
from nexus_tui.training.preparing import Preparing, about_evaluations, about_memory, shuffled
from nexus_tui.training.prompted import continued
from nexus_tui.training.ranks import Alone
from nexus_tui.training.room import of_gpu
from nexus_tui.training.sampling import Sampler
from nexus_tui.training.saving import Saving
from nexus_tui.training.vitals import Vitals
from nexus_tui.untrusted_files import replace_file


@dataclass
class _Requests:
    """Wishes taken at a step boundary that are carried out together."""

    save: bool = False
    evaluate: bool = False
    sample: bool = False
    stop: bool = False
    wishes: list[c.Wish] = field(default_factory=list)
    """Whose they are: told when it is done."""


class Trainer:
    """Trains one run in the calling thread, from its first step or a checkpoint to its end.

    The caller holds the run's lock. Everything that happens is journalled; `wake` is only called to say that
    the journal has grown; `unreachable` says why nobody else can steer it, where that is so.
    """

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        control: c.Control,
        wake: Callable[[], None],
        unreachable: str = "",
        launch: Launch = Launch(),  # noqa: B008 (it is frozen)
    ) -> None:
        self._run = run
        self._config = config
        self._control = control
        self._wake = wake
        self._resumed: Checkpoint | None = None
        self._journal = j.Journal(run.folder / "journal.jsonl")
        self._learner: Learner
        self._validation: Validation
        self._holdout: Validation | None = None
        self._compiling: subprocess.Popen[bytes] | None = None
        self._unreachable = unreachable
        self._launch = launch
        self._ranks = Alone()
        self._saving: Saving | None = None
        self._sampler: Sampler | None = None

    def train(self, checkpoint: Checkpoint | None) -> None:
        """Train to the end of the budget or until told to stop. A failure is journalled and raised."""
        try:
            self._prepare(checkpoint)
            reason = self._steps()
            self._append(j.EndedEvent(step=self._learner.step, reason=reason), durable=True)
            self._report()
        except Cancelled:
            while wish := self._control.take(0):
                wish.done(0) if isinstance(wish.act, c.Stop) else wish.refuse("training has not begun.")
            self._append(j.EndedEvent(step=self._run.step, reason="stopped"), durable=True)
        except DivergedError as error:
            self._diverged(error)
        except j.JournalTakenError:
            raise  # there is nothing of ours left to write into
        except Exception as error:
            if not out_of_memory(error):
                self._fail(str(error) or type(error).__name__)
                raise
            self._run.refresh()
            at_once = self._learner.at_once if hasattr(self, "_learner") else self._config.windows_at_once
            self._fail(too_large(self._run, at_once, gpu=isinstance(error, torch.OutOfMemoryError)))
        finally:
            self._ranks.end()
            self._journal.close()
            if self._compiling:
                self._compiling.wait()

    def _prepare(self, checkpoint: Checkpoint | None) -> None:
        config, folder = self._config, self._run.folder
        remove_unfinished(folder)
        self._device = choose(self._launch.device)
        self._append(
            j.DeviceEvent(
                pid=os.getpid(),
                host=socket.gethostname(),
                device=device_name(self._device),
                threads=torch.get_num_threads(),
                torch=str(torch.__version__),
                processes=self._launch.size,
                sharded=self._launch.shard,
            )
        )
        if self._launch.size > 1:
            self._activity("waiting for the other processes")
            from nexus_tui.training.distributed import Ranks

            self._ranks = Ranks(self._launch, self._device)
        if self._run.started is None and self._device == CPU and config.budget.precision == "bf16":
            said = "budget.precision is bf16 on a GPU alone: here all is computed in 32 bits"
            self._append(j.NotedEvent(step=0, text=said))
        if self._unreachable:
            self._append(j.FaultedEvent(step=0, message=self._unreachable))
        self._activity("reading the corpus")
        tokenizer = load_tokenizer(folder / TOKENIZER) if (folder / TOKENIZER).exists() else None
        progress = Preparing(self._activity, self._control)
        corpus = load_corpus(config.data.corpus, config.data.field, progress)
        dataset = prepare(
            corpus,
            config.data.tokenizer,
            config.model.vocab_size,
            config.data.validation,
            holdout=config.data.holdout,
            tokenizer=tokenizer,
            progress=progress,
        )
        dataset.require(config.data.window)
        dataset = shuffled(dataset, config, self._run.started)
        self._keep_tokenizer(dataset)
        self._validation = validation(dataset, config.data.window)
        self._holdout = validation(dataset, config.data.window, "holdout") if len(dataset.holdout) else None
        if self._device == CPU:
            with compiling.announced(self._compile):
                warm_up()
        self._ranks.join(config, dataset, checkpoint)
        room = of_gpu(self._device)  # before anything is taken of it
        self._learner = learner_for(config, dataset, self._ranks, self._device)
        if self._run.started is None:
            self._append(
                j.StartedEvent(
                    version=__version__,
                    parameters=parameter_count(self._learner.model),
                    corpus_sha256=corpus.sha256,
                    train_tokens=len(dataset.train),
                    validation_tokens=len(dataset.validation),
                    validation_bytes=dataset.validation_bytes,
                    shuffle="" if dataset.shuffle == "sort" else dataset.shuffle,
                ),
                durable=True,
            )
            if advice := about_evaluations(self._learner):
                self._append(j.NotedEvent(step=0, text=advice))
        elif self._run.started.corpus_sha256 != corpus.sha256:
            raise ValueError(
                f"the corpus {config.data.corpus} is not the one this run was trained on (SHA-256 differs); "
                "put the old text back or start a new run."
            )
        self._resumed = checkpoint
        if checkpoint:
            self._learner.load(checkpoint)
        steered = any(isinstance(event, j.ControlledEvent) for event in self._run.log)
        if checkpoint or len(self._run.steps) or steered:  # wishes may come before the first step
            name = checkpoint.name if checkpoint else ""
            damaged = passed_over(self._run, checkpoint)
            self._append(j.ResumedEvent(step=self._learner.step, checkpoint=name), durable=True)
            for error in damaged:
                self._fault(
                    f"{error}: it goes on from {f'step {checkpoint.step}' if checkpoint else 'the start'}."
                )
            if checkpoint and checkpoint.weights_alone:
                said = f"the optimizer begins anew: {name} has weights alone"
                self._append(j.NotedEvent(step=self._learner.step, text=said))
            self._append_steering()
        if advice := about_memory(self._learner, self._launch, room):
            self._append(j.NotedEvent(step=self._learner.step, text=advice))
        self._run.refresh()
        line, steps = self._run.canonical(), self._run.steps
        newest = [steps[name][line][-config.spike.window :].tolist() for name in ("step", "loss")]
        self._learner.spikes = SpikeWatch(config.spike, zip(*newest, strict=True))

    def _keep_tokenizer(self, dataset: Dataset) -> None:
        """Write it whole or not at all: half of one would refuse every resume. Raises OSError."""
        replace_file(self._run.folder / TOKENIZER, dataset.tokenizer.to_str(pretty=True).encode())

    def _append_steering(self) -> None:
        """Say what holds of all that was wished for: what came after the checkpoint does no longer."""
        said = {event.act for event in self._run.log if isinstance(event, j.ControlledEvent)}
        holding = {"rate_scale": self._learner.rate_scale, "plan": float(self._learner.total)}
        for act, value in holding.items():
            if act in said:
                self._append(j.ControlledEvent(step=self._learner.step, act=act, value=value))

    def _compile(self) -> None:
        """Say that kernels are being compiled, and have those of sampling compiled meanwhile and beyond."""
        self._activity("compiling kernels (once on this machine)")
        self._compiling = compiling.for_sampling()

    def _steps(self) -> str:
        """Step to the end. Returns why it ended: `finished` or `stopped`."""
        learner, vitals = self._learner, Vitals(self._device)
        self._carry_out_due()  # killed between its save and its evaluation
        while True:
            requests = self._take_wishes()
            self._carry_out(requests)
            if learner.step >= learner.total:
                break
            if requests.stop:
                return "stopped"
            self._record(learner.advance())
            self._saved(wait=False)
            if measured := vitals.due():
                self._append(j.MeasuredEvent(step=learner.step, values=measured))
            self._carry_out(self._due())
        self._carry_out_due()  # somebody shortened it to this very step
        self._saved()
        self._score_winner()
        return "finished"

    def _record(self, steps: list[Stepped]) -> None:
        """Journal steps that have become known."""
        for stepped in steps:
            self._append(
                j.StepEvent(
                    step=stepped.step,
                    loss=stepped.loss,
                    lr=stepped.lr,
                    grad_norm=stepped.grad_norm,
                    tokens=self._learner.tokens_of(stepped.step),
                    seconds=round(stepped.seconds, 6),
                )
            )
            if spike := stepped.spike:
                self._append(j.SpikedEvent(step=stepped.step, **asdict(spike)))

    def _carry_out_due(self) -> None:
        """Evaluate the current step if the configuration asks for it and it has not been done."""
        if self._due().evaluate and self._name() not in {e.name for e in self._run.evaluations}:
            self._carry_out(self._due())

    def _due(self) -> _Requests:
        """What the configuration asks for after the current step."""
        step, config = self._learner.step, self._config
        last = step == self._learner.total
        evaluate = step > 0 and (last or step % config.evaluation.every == 0)
        save = step > 0 and (last or step % config.checkpoint.every == 0)
        return _Requests(save=save, evaluate=evaluate, sample=evaluate)

    def _take_wishes(self) -> _Requests:
        """All waiting wishes; while paused, waits for more."""
        requests, paused, step = _Requests(), False, self._learner.step
        while wish := self._control.take(step, wait=paused):
            self._record(self._learner.settle())  # what comes now is journalled after the steps before it
            match wish.act:
                case c.Pause() | c.Continue():
                    wanted = isinstance(wish.act, c.Pause)
                    if wanted != paused:
                        paused = wanted
                        self._append(j.ControlledEvent(step=step, act="pause" if paused else "continue"))
                case c.Stop(save):
                    requests.stop = True
                    requests.save |= save
                    paused = False
                case c.Save():
                    requests.save = True
                case c.Evaluate():
                    requests.evaluate = True
                case c.Sample():
                    requests.sample = True
                case _:
                    self._steer(wish)
            requests.wishes.append(wish)
            if paused:
                self._carry_out(requests)
                requests = _Requests()
        return requests

    def _steer(self, wish: c.Wish) -> None:
        """What changes training, or the record, at once; it is journalled before the step that it changes."""
        learner, step = self._learner, self._learner.step
        match wish.act:
            case c.ScaleRate(scale):
                learner.rate_scale = scale
                self._append(j.ControlledEvent(step=step, act="rate_scale", value=scale), durable=True)
            case c.Plan(steps) if steps < step or steps <= self._config.schedule.warmup:
                wish.refuse(f"it is at step {step:,}, and warms up for {self._config.schedule.warmup:,}.")
            case c.Plan(steps):
                learner.total = steps
                self._append(j.ControlledEvent(step=step, act="plan", value=steps), durable=True)
            case c.Note(text, at):
                self._append(j.NotedEvent(step=step if at is None else at, text=text))

    def _carry_out(self, requests: _Requests) -> None:
        if requests.save or requests.evaluate or requests.sample:
            self._record(self._learner.settle())
        if requests.save or requests.evaluate:
            self._save()
        if requests.evaluate:
            self._evaluate()
        if requests.sample:
            self._sample()
        if requests.wishes:
            self._saved()
        for wish in requests.wishes:
            if not wish.refusal:
                wish.done(self._learner.step)

    def _name(self) -> str:
        """The name for a checkpoint of the current step; before the first, that of the one resumed from."""
        if self._resumed and self._resumed.step == self._learner.step:
            return self._resumed.name
        self._run.refresh()
        return self._run.checkpoint_name(self._run.branches[-1].index, self._learner.step)

    def _save(self) -> None:
        """Save the current step, unless it is on disk. If the disk cannot take it, say so and go on."""
        self._saved()
        self._restore()
        step, name = self._learner.step, self._name()
        if not step or name in self._run.checkpoints:
            return
        self._activity("saving")
        place = self._run.folder / "checkpoints" / name
        anew = name not in self._run.saved
        self._saving = Saving(place, step, self._learner.kept().write, anew=anew, aside=self._learner.aside)
        if not self._learner.aside:
            self._saved()

    def _saved(self, wait: bool = True) -> None:
        """Put on record what has been saved. If the disk could not take it, say so and go on."""
        saving = self._saving
        if saving is None or not (wait or saving.done):
            return
        self._saving = None
        try:
            saved = saving.wait()
        except Exception as error:
            if not is_refusal(error):
                raise
            why, step = refusal(error, self._run.folder), saving.step
            self._fault(f"step {step} could not be saved: {why}; it trains on, and the next save is tried.")
            return
        self._append(
            j.SavedEvent(
                step=saving.step, checkpoint=saving.place.name, sha256=saved.sha256, bytes=saved.bytes
            ),
            durable=True,
        )
        self._run.refresh()
        if self._learner.aside:
            self._link_best()  # it may have been evaluated before it was on disk

    def _restore(self) -> None:
        """Write the run's folder anew, as far as it can be, if somebody has deleted it."""
        if not self._journal.deleted:
            return
        try:
            self._journal.restore()
            replace_file(self._run.folder / CONFIG, self._config.to_toml().encode())
            self._keep_tokenizer(self._learner.dataset)
        except OSError as error:
            why = refusal(error, self._run.folder)
            self._fault(f"the run's folder was deleted, and cannot be written anew: {why}.")
            return
        self._run.refresh()
        self._fault(
            "the run's folder was deleted: its journal is here again, its checkpoints until now are gone."
        )

    def _evaluate(self) -> None:
        """Score the current weights on every validation window, and let `best` point to the true best."""
        step, name = self._learner.step, self._name()
        self._activity("evaluating")
        started = j.now()
        losses = self._ranks.window_losses(self._validation)
        self._keep_window_losses(name, losses)
        loss, stderr = summary(losses)
        self._append(
            j.EvaluatedEvent(
                step=step,
                checkpoint=name,
                loss=loss,
                stderr=stderr,
                bits_per_byte=self._validation.bits_per_byte(loss),
                windows=len(losses),
                protocol=self._validation.protocol,
                seconds=(j.now() - started).total_seconds(),
            ),
            durable=True,
        )
        self._run.refresh()
        self._link_best()
        self._predict()

    def _link_best(self) -> None:
        ranked = truth.best(self._run)
        try:
            link_best(self._run.folder, ranked.checkpoint if ranked else None)
        except OSError as error:
            self._fault(f"the link `best` could not be moved: {error}")

    def _predict(self) -> None:
        """Put on record what the next evaluation and the last one will be, before they happen."""
        try:
            events = predicted_events(self._run)
        except Exception as error:  # nothing about a forecast is worth losing a run for
            self._fault(f"there is no forecast after step {self._learner.step}: {error}")
            return
        for event in events:
            self._append(event)

    def _report(self) -> None:
        """Leave the report in the run's folder."""
        self._run.refresh()
        try:
            write_report(self._run)
        except Exception as error:  # the run itself is whole and on record
            self._fault(f"{REPORT} could not be written: {error}")

    def _score_winner(self) -> None:
        """Score the true best, once, on the text that was kept from choosing it."""
        winner = unscored(self._run) if self._holdout else None
        if winner and self._holdout:
            self._activity("scoring the best on the holdout")
            self._append(scored(winner, self._holdout), durable=True)

    def _keep_window_losses(self, name: str, losses: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> None:
        try:
            save_window_losses(self._run.folder, name, losses)
        except OSError as error:
            why = refusal(error, self._run.folder)
            message = f"the windows' losses of step {self._learner.step} could not be saved: {why}"
            self._append(j.FaultedEvent(step=self._learner.step, message=message))

    def _sample(self) -> None:
        self._activity("sampling")
        model, sampler = self._ranks.whole(), self._sampler
        if sampler is None or sampler.model is not model:
            sampler = Sampler(model, self._learner.dataset.tokenizer)
        # A GPU's reads the weights where they are; another has packed them as they were.
        self._sampler = None if self._device == CPU else sampler
        for event in continued(sampler, self._config, self._learner.step):
            self._append(event)

    def _diverged(self, error: DivergedError) -> None:
        """Put on record why training stopped, before which update, over which batch, and where to go on."""
        self._saved()
        self._learner.optimizer.zero_grad()
        if error.spike:
            self._append(j.SpikedEvent(step=error.step, **asdict(error.spike)))
        self._run.refresh()
        good = last_good(self._run, self._learner.spikes.since)
        # of a divided model nobody can score a window alone, and the others have gone
        event = diverged_event(error, self._learner, good, scored=not self._launch.shard)
        self._append(event, durable=True)
        where = f"step {good.step:,}" if good else "the start"
        self._fail(f"stopped before a harmful update: {error.cause}; resume from {where} with a lower rate.")

    def _activity(self, activity: str) -> None:
        step = self._learner.step if hasattr(self, "_learner") else 0
        self._append(j.ActivityEvent(step=step, activity=activity))

    def _fault(self, message: str) -> None:
        self._append(j.FaultedEvent(step=self._learner.step, message=message))

    def _fail(self, message: str) -> None:
        with contextlib.suppress(Exception):  # what failed first is what is said
            self._saved()
        step = self._learner.step if hasattr(self, "_learner") else 0
        self._append(j.EndedEvent(step=step, reason="failed", message=message), durable=True)

    def _append(self, event: j.Event, durable: bool = False) -> None:
        self._journal.append(event, durable=durable)
        self._wake()
