"""The processes besides process 0: each does what that one tells it, and writes nothing."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.lm.selective_scan import warm_up
from nexus_tui.runs.checkpoints import open_checkpoint
from nexus_tui.training.device import choose
from nexus_tui.training.distributed import Order, RankError, Ranks, made_by
from nexus_tui.training.evaluation import Validation, validation
from nexus_tui.training.health import DivergedError
from nexus_tui.training.launch import Launch, LaunchError
from nexus_tui.training.learner import Learner
from nexus_tui.training.memory import keep_freed_memory

FAILED = 3
"""Exit status, as for other work that failed."""


def follow(launch: Launch) -> int:
    """Take part until process 0 says that it is over. Returns the exit status."""
    if not launch.shard:  # a divided model is put together and freed again all the time: 26 bytes for 17
        keep_freed_memory()
    try:
        ranks = Ranks(launch, choose(launch.device))
        # Process 0 is told to stop, saves, and lets us go; if it dies, its connection does.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _obey(ranks)
    except (LaunchError, RankError) as error:
        print(f"nexus-tui: process {launch.rank} of {launch.size}: {error}", file=sys.stderr)
        return FAILED
    return 0


def _obey(ranks: Ranks) -> None:
    follower = Follower(ranks)
    while True:
        order, first, second = ranks.next_order()
        match order:
            case Order.BEGIN:
                follower.begin(ranks.told(int(first)))
            case Order.LOAD:
                follower.load()
            case Order.ADVANCE:
                follower.advance(first, int(second))
            case Order.EVALUATE:
                ranks.window_losses(follower.windows)
            case Order.GATHER if first:
                ranks.whole_state(follower.learner.optimizer)
            case Order.GATHER:
                ranks.whole()
            case Order.END:
                return


def obedient(config: RunConfig) -> RunConfig:
    """The configuration of those who do not decide: process 0, which knows all losses, sees the spikes."""
    spike = config.spike.model_copy(update={"action": "ignore"})
    return config.model_copy(update={"spike": spike})


class Follower:
    """What such a process has: a learner, and the windows that it scores its part of."""

    learner: Learner
    windows: Validation

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def begin(self, told: dict[str, Any]) -> None:
        """Make ready what process 0 has. Raises RankError, in every process, if this one cannot."""
        with self._telling():
            if (theirs := told["made_by"]) != (ours := made_by(self._ranks.device)):
                raise ValueError(f"it has {ours} where process 0 has {theirs}")
            config = obedient(RunConfig.check(told["config"], "what process 0 tells"))
            corpus = load_corpus(config.data.corpus, config.data.field)
            if corpus.sha256 != told["corpus"]:
                raise ValueError(f"it reads another text than process 0 as {config.data.corpus}")
            data = config.data
            dataset = prepare(
                corpus,
                data.tokenizer,
                config.model.vocab_size,
                data.validation,
                holdout=data.holdout,
                tokenizer=Tokenizer.from_str(told["tokenizer"]),
            )
            dataset = replace(dataset, shuffle=told["shuffle"])
            self._checkpoint = Path(told["checkpoint"])
            self.windows = validation(dataset, data.window)
            warm_up()
        self._ranks.agree("")
        self.learner = Learner(config, dataset, self._ranks, self._ranks.device)

    def load(self) -> None:
        """Go on from the checkpoint that process 0 has loaded. Raises RankError as `begin`."""
        with self._telling():
            if not self._checkpoint.exists():
                raise ValueError(
                    f"it does not see {self._checkpoint}: all machines must share the runs folder"
                )
            self.learner.load(open_checkpoint(self._checkpoint))

    def advance(self, rate_scale: float, total: int) -> None:
        """One step, with what somebody has wished for."""
        self.learner.rate_scale, self.learner.total = rate_scale, total
        with suppress(DivergedError):  # process 0 has found the same, and says what becomes of it
            self.learner.advance()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Within, what goes wrong is said to all processes."""
        try:
            yield
        except RankError:
            raise
        except Exception as error:
            self._ranks.agree(f"on {socket.gethostname()}, {error}")
            raise
