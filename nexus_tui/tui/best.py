"""The rows of a run's checkpoints, worked out once for each change of the record: ties read files."""

from weakref import WeakKeyDictionary

from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui.checkpoint_rows import Row, rows, signature

_known: WeakKeyDictionary[Run, tuple[tuple[object, ...], list[Row]]] = WeakKeyDictionary()


def checkpoints(run: Run) -> list[Row]:
    """Every checkpoint on record, as `checkpoint_rows.rows` has them."""
    now = signature(run)
    known = _known.get(run)
    if known is None or known[0] != now:
        known = _known[run] = (now, rows(run))
    return known[1]


def best(run: Run) -> Evaluation | None:
    """The evaluation of the true best checkpoint."""
    return next((row.evaluation for row in checkpoints(run) if row.best), None)
