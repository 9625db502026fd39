"""The text that a run was trained on, as samples are held against it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from nexus_tui.runs.run import Run, RunError

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Originals

KEPT = 2
"""Texts kept in memory."""

_known: OrderedDict[tuple[str, float, float], Originals] = OrderedDict()
_lock = threading.Lock()


def originals_of(run: Run) -> Originals:
    """The training part of a run's corpus; the newest few stay in memory. Not for the thread of a screen.

    Raises RunError if it is not on record or no longer the text that the run was trained on, CorpusError if
    it cannot be read.
    """
    from nexus_tui.config import ConfigError, RunConfig
    from nexus_tui.data.corpus import load_corpus
    from nexus_tui.data.novelty import Originals
    from nexus_tui.data.windows import split

    silent = RunError(f"{run.name} does not say which text it was trained on, so samples compare with none.")
    if run.foreign or run.started is None or not run.started.corpus_sha256:
        raise silent
    try:
        data = RunConfig.check(run.config, str(run.folder / "run.toml")).data
    except ConfigError:
        raise silent from None
    key = (run.started.corpus_sha256, data.validation, data.holdout)
    with _lock:
        found = _known.get(key)
        if found is None:
            corpus = load_corpus(data.corpus, data.field)
            if corpus.sha256 != run.started.corpus_sha256:
                raise RunError(
                    f"{data.corpus} is not the text any more that {run.name} was trained on (SHA-256 "
                    "differs); put the old one back to compare samples with it."
                )
            found = Originals(split(corpus.data, data.validation, data.holdout).train)
        _known[key] = found
        _known.move_to_end(key)
        while len(_known) > KEPT:
            _known.popitem(last=False)
    return found
