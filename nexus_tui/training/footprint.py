"""How much memory a training needs, from its configuration alone, against what there is. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_tui.config import RunConfig
from nexus_tui.lm.config import JambaConfig
from nexus_tui.training.launch import Launch
from nexus_tui.training.room import Room, rooms

_BESIDES = 25e6
"""Bytes for what no term stands for: buffers of threads, heaps that are not quite full."""
_HEAP, _HEAP_AGAIN = 1.1, 1.27
"""Bytes of heap for a byte of activations: of one micro-batch, and where more follow, which find it cut up.
Measured, as is the rest: `python -m benchmarks.memory`."""
_CHUNK = 32
"""Tokens of which the selective scan keeps one state for its backward pass."""
_CORPUS = 9
"""Bytes for a byte of text: the text, its tokens, and the windows that are scored."""
_TOKENS_SCORED = 4096
"""Tokens that an evaluation scores at once, at most, if a window is not longer."""


class TooLargeError(Exception):
    """A training needs more memory than there is; the message says how much, and what to change.

    Args:
        said: what is wrong, without what to do.
        micro_batch: windows at once with which it fits; 0 if there is no such number.
        needs: what it needs then, in words.
    """

    def __init__(self, said: str, micro_batch: int = 0, needs: str = "") -> None:
        self.said, self.micro_batch, self.needs = said, micro_batch, needs
        advice = "choose a smaller data.window or model"
        if micro_batch:
            advice = f"--micro-batch {micro_batch} needs {needs} for the same batch"
        super().__init__(f"{said}: {advice}; --force tries it as it is.")


@dataclass(frozen=True)
class Need:
    """Bytes that one process needs besides the program itself, by what for."""

    data: float
    states: float
    """Weights, gradients and both of AdamW's averages, 4 bytes each."""
    activations: float
    """What a micro-batch leaves for the backward pass, logits among it; or an evaluation, if that is more."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.data + self.states + self.activations


def parameters(model: JambaConfig) -> int:
    """Trained numbers of a model, as `parameter_count` counts them."""
    hidden, inner, states, rank = (
        model.hidden_size, model.mamba_channels, model.mamba_d_state, model.mamba_dt_rank,
    )  # fmt: skip
    kv = model.num_key_value_heads * model.head_dim
    fed = 3 * hidden * model.intermediate_size + 2 * hidden
    attention = 2 * hidden * hidden + 2 * hidden * kv
    mamba = (
        3 * hidden * inner
        + inner * (model.mamba_d_conv + 1)
        + inner * (rank + 2 * states)
        + rank * inner
        + inner
        + inner * states
        + inner
        + rank
        + 2 * states
    )
    kinds = model.layer_kinds
    mixers = kinds.count("attention") * attention + kinds.count("mamba") * mamba
    tables = (1 if model.tie_word_embeddings else 2) * model.vocab_size * hidden
    return mixers + len(kinds) * fed + tables + hidden


def need(
    config: RunConfig,
    corpus: int = 0,
    launch: Launch = Launch(),  # noqa: B008 (frozen)
    *,
    gpu: bool = False,
) -> Need:
    """What one process needs of the machine for a training; `corpus` is the bytes of its text.

    With `gpu`, which then has the activations, the states are what a checkpoint copies from there.
    """
    model, processes = config.model, launch.size if launch.shard else 1
    share = -(-config.budget.batch // launch.size)
    at_once = min(config.windows_at_once, share)
    heap = _HEAP if at_once >= share else _HEAP_AGAIN
    trained = heap * at_once * config.data.window * _floats(config)
    scored = max(1, _TOKENS_SCORED // config.data.window) * config.data.window
    evaluated = scored * (2 * model.vocab_size + 3 * model.intermediate_size + 4 * model.hidden_size)
    weights = parameters(model)
    copies = 4 if launch.size == 1 or launch.shard else 5  # DDP sums gradients in buffers of its own
    return Need(
        data=_CORPUS * corpus,
        states=4.0 * copies * weights / processes,
        # gradients are not there while it evaluates
        activations=(0.0 if gpu else 4.0 * max(trained, evaluated - weights)) + _BESIDES,
    )


def _floats(config: RunConfig) -> float:
    """Numbers that a token leaves in memory at the moment when that is most."""
    model = config.model
    hidden, inner, fed = model.hidden_size, model.mamba_channels, model.intermediate_size
    dropout = 2 * hidden if config.regularization.dropout else 0
    kv = model.num_key_value_heads * model.head_dim
    selection = 2 * (model.mamba_dt_rank + 2 * model.mamba_d_state)
    mamba = 4 * hidden + 5 * inner + selection + inner * model.mamba_d_state / _CHUNK
    attention = 7 * hidden + 2 * kv
    kinds = model.layer_kinds
    mixers = kinds.count("mamba") * mamba + kinds.count("attention") * attention
    kept = mixers + len(kinds) * (3 * fed + dropout) + 2 * hidden
    passing = max(3 * model.vocab_size, 3 * fed + 2 * hidden, 6 * inner + 2 * hidden)
    return kept + passing


def require_room(
    name: str,
    config: RunConfig,
    corpus: int,
    launch: Launch,
    known: list[Room] | None = None,
    *,
    gpu: bool = False,
) -> None:
    """Raise TooLargeError if what a training, with `gpu` on one, needs is more than any limit leaves."""
    asked = need(config, corpus, launch, gpu=gpu)
    for room in rooms() if known is None else known:
        if asked.total + room.program > room.free:
            raise (
                _too_large_beside(name, asked, room)
                if gpu
                else _too_large(name, config, corpus, launch, room)
            )


def _too_large_beside(name: str, asked: Need, room: Room) -> TooLargeError:
    """What is said of a training on a GPU: fewer windows at once would change nothing here."""
    return TooLargeError(
        f"{name} needs {size(asked.total + room.program)} of this machine's memory to train on a GPU "
        f"({size(asked.data)} for its text, {size(asked.states)} for what is saved of weights and "
        f"optimizer), and {room.of} leaves {size(room.free)}"
    )


def _too_large(name: str, config: RunConfig, corpus: int, launch: Launch, room: Room) -> TooLargeError:
    """What is said, with the largest micro-batch that would fit."""
    asked = need(config, corpus, launch)
    said = (
        f"{name} needs {size(asked.total + room.program)} of memory to train ({size(asked.states)} for "
        f"weights, gradients and optimizer, {size(asked.activations)} for the "
        f"{config.windows_at_once * config.data.window:,} tokens of a micro-batch), and {room.of} leaves "
        f"{size(room.free)}"
    )
    for windows in range(config.windows_at_once - 1, 0, -1):
        wanted = need(changed(config, windows), corpus, launch).total + room.program
        if wanted <= room.free:
            return TooLargeError(said, windows, size(wanted))
    return TooLargeError(said)


def changed(config: RunConfig, micro_batch: int) -> RunConfig:
    """The configuration with another number of windows at once; 0 leaves it as it is."""
    if not micro_batch:
        return config
    return config.model_copy(update={"budget": config.budget.model_copy(update={"micro_batch": micro_batch})})


def size(count: float) -> str:
    """Bytes, as people read them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
