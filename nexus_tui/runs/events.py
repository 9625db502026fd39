"""What a journal can say: the kinds of event, and what each has. docs/formats.md describes them."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

FORMAT = 1
"""Version of the journal's format, written in `started`."""

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""A number of steps or tokens; a line that claims another is kept as one that is not understood."""
Seed = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset: nobody knows when a time without one was."""


def now() -> datetime:
    """The time of an event: now, in UTC."""
    return datetime.now(UTC)


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="event",
    tag=lambda name: name.removesuffix("Event").lower(),
):
    """What every event has: `event` (its kind) and `time` (UTC)."""

    time: Time = msgspec.field(default_factory=now)


class StartedEvent(Event, frozen=True):
    """A run began: what it is made of, as far as that is not in run.toml.

    `kind` is `run`, or `recorded` for a run put on record from another source, whose weights are elsewhere.
    """

    kind: str = "run"
    format: Count = FORMAT
    version: str = ""
    parameters: Count = 0
    corpus_sha256: str = ""
    train_tokens: Count = 0
    validation_tokens: Count = 0
    validation_bytes: Count = 0
    shuffle: str = ""
    """How an epoch's windows are put in order, where that is not by sorting: `feistel`."""


class ResumedEvent(Event, frozen=True):
    """Training goes on from the checkpoint of `step`: a new branch; later steps on record are abandoned."""

    step: Count
    checkpoint: str


class DeviceEvent(Event, frozen=True):
    """Where the process that now trains runs; of several `processes`, the first. Threads are of each."""

    pid: Count
    host: str
    device: str
    threads: Count
    torch: str = ""
    processes: Count = 1
    sharded: bool = False
    """Each holds a part of the model, instead of all of it."""


class ActivityEvent(Event, frozen=True):
    """What the trainer does from now on besides steps: `compiling kernels`, `evaluating` …"""

    step: Count
    activity: str


class StepEvent(Event, frozen=True):
    """One optimizer step: mean loss over the batch in nats per token, before the update.

    `tokens` trained on so far and `seconds` of this step are 0 where that is not on record.
    """

    step: Count
    loss: float | None
    lr: float
    grad_norm: float | None = None
    tokens: Count = 0
    seconds: float = 0.0


class SavedEvent(Event, frozen=True):
    """A checkpoint is on disk; `sha256` is that of its model.safetensors, `bytes` its size in all.

    Empty and 0 where that is not on record. An average of checkpoints names its `parents`, oldest first, as
    `RUN:NAME@` and the first 12 digits of their weights' SHA-256, and the `method`: `uniform`, or `ema` and
    its decay. `step` is then the last parent's. Nobody trained it, and training cannot go on from it.
    """

    step: Count
    checkpoint: str
    sha256: str = ""
    bytes: Count = 0
    parents: tuple[str, ...] = ()
    method: str = ""


class EvaluatedEvent(Event, frozen=True):
    """Loss over the validation windows in nats per token; `protocol` names windows, context and text.

    None stands for what is no finite number: JSON has no word for it.
    """

    step: Count
    checkpoint: str
    loss: float | None
    stderr: float | None = None
    bits_per_byte: float | None = None
    windows: Count = 0
    protocol: str = ""
    seconds: float = 0.0
    metrics: dict[str, float | None] = {}
    """Other scores of the same evaluation, by the name that who measured them gave them."""


class HeldoutEvent(Event, frozen=True):
    """The winner's loss over text that was kept from choosing it, nats per token; scored once, at the end."""

    step: Count
    checkpoint: str
    loss: float | None
    stderr: float | None = None
    bits_per_byte: float | None = None
    windows: Count = 0
    protocol: str = ""


class MeasuredEvent(Event, frozen=True):
    """Any other numbers of a step, by name."""

    step: Count
    values: dict[str, float | None]


class ClaimedEvent(Event, frozen=True):
    """Something outside the journal calls a checkpoint the best: a file `best.bin`, another tool's pointer.

    `step` is that of the weights it holds or names; None if that is not known. `metric` and `value` are the
    score it claims for them, `higher_is_better` the metric's direction, `path` where it points.
    """

    name: str
    step: Count | None = None
    metric: str = ""
    value: float | None = None
    higher_is_better: bool = False
    path: str = ""


class PredictedEvent(Event, frozen=True):
    """At `step`, before it happened: the validation loss of step `target`, nats per token. Never rewritten.

    `low` and `high` bound the interval, None for a prediction without one; `method` made it, from the data
    that `basis` names.
    """

    step: Count
    target: Count
    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""
    basis: str = ""


class SampledEvent(Event, frozen=True):
    """Text that the model of this step wrote after a fixed prompt."""

    step: Count
    prompt: str
    text: str
    seed: Seed = 0
    temperature: float = 1.0


class ControlledEvent(Event, frozen=True):
    """Somebody's wish was carried out at this step boundary: `pause`, `continue`, `rate_scale`, `plan`."""

    step: Count
    act: str
    value: float | None = None


class NotedEvent(Event, frozen=True):
    """A note at a step, by the user."""

    step: Count
    text: str


class FaultedEvent(Event, frozen=True):
    """Something failed and training went on, such as a save on a full disk."""

    step: Count
    message: str


class SpikedEvent(Event, frozen=True):
    """The loss of a step rose far above those before it; training went on, unless a `diverged` follows.

    `median` is that of the losses before, `limit` what the loss would have had to stay below, both in nats
    per token.
    """

    step: Count
    loss: float
    median: float
    limit: float


class DivergedEvent(Event, frozen=True):
    """Training stopped before the update of `step`, which would have harmed the weights: `cause` says why.

    The batch is that of (`seed`, `step`): `places` are where its windows begin in the training part, in
    tokens, `losses` what each costs under the weights that were not harmed, in nats per token (None where
    that is no finite number), `texts` how each begins. `checkpoint` is the last good one, empty if there is
    none; `rate_scale` the factor that was on the learning rate.
    """

    step: Count
    cause: str
    loss: float | None = None
    grad_norm: float | None = None
    seed: Count = 0
    places: tuple[Count, ...] = ()
    losses: tuple[float | None, ...] = ()
    texts: tuple[str, ...] = ()
    checkpoint: str = ""
    rate_scale: float = 1.0


class EndedEvent(Event, frozen=True):
    """The process stopped training: `finished`, `stopped` or `failed`, with the reason if it failed."""

    step: Count
    reason: str
    message: str = ""


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a kind this version does not know, as it stands in the file."""

    event: str
    fields: dict[str, Any]


KnownEvent = (
    StartedEvent
    | ResumedEvent
    | DeviceEvent
    | ActivityEvent
    | StepEvent
    | SavedEvent
    | EvaluatedEvent
    | HeldoutEvent
    | MeasuredEvent
    | ClaimedEvent
    | PredictedEvent
    | SampledEvent
    | ControlledEvent
    | NotedEvent
    | FaultedEvent
    | SpikedEvent
    | DivergedEvent
    | EndedEvent
)
AnyEvent = KnownEvent | UnknownEvent
