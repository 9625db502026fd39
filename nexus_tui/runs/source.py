"""Where a run is read from if it is not a folder of ours: what another tool's files must answer."""

from pathlib import Path
from typing import Any, Literal, Protocol

from nexus_tui.runs import journal as j

Weights = Literal["here", "elsewhere", "gone"]
"""Of a saved checkpoint: on disk, said to exist where this program cannot look, or deleted or damaged."""


class Source(Protocol):
    """Where the events of a run come from, if it is not a journal of ours: another tool's files."""

    @property
    def kind(self) -> str:
        """What it is, such as `transformers`."""

    @property
    def name(self) -> str:
        """What the run is called on screen."""

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """What it says of its configuration, by our names, such as `budget.steps`."""

    def read(self) -> list[j.AnyEvent]:
        """The events that have come since the last call."""

    def replaced(self) -> bool:
        """Whether what was read so far no longer holds."""

    def again(self) -> "Source":
        """The same source from its beginning."""

    def weights(self, checkpoint: str) -> Weights:
        """Whether a checkpoint's weights are there."""

    def weights_path(self, checkpoint: str) -> Path | None:
        """Where they are."""
