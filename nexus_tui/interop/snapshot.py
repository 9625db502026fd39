"""A source that is read whole, and anew when one of its files has changed."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

from nexus_tui.interop.files import signature
from nexus_tui.runs.journal import AnyEvent
from nexus_tui.runs.run import RunError
from nexus_tui.runs.source import Weights


class Snapshot(ABC):
    """A source of a run's events that a subclass reads from `path` in one go."""

    kind: ClassVar[str]

    def __init__(self, path: Path) -> None:
        """Read a file or folder. Raises RunError if it is not what the subclass reads."""
        self.path = path
        self.config: dict[str, dict[str, Any]] = {}
        self._signature = signature(self.files())  # before the reading: what changes meanwhile is read again
        self._events = self.events()
        self._given = False

    @property
    def name(self) -> str:
        """What the run is called on screen: the folder, or the file without its ending."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.stem

    @abstractmethod
    def files(self) -> Iterable[Path]:
        """The files whose change means to read again."""

    @abstractmethod
    def events(self) -> list[AnyEvent]:
        """Everything they say. Raises RunError if that is no run."""

    def weights(self, checkpoint: str) -> Weights:
        """Whether a checkpoint's weights are there. Where nothing is known of weights, they are elsewhere."""
        del checkpoint
        return "elsewhere"

    def weights_path(self, checkpoint: str) -> Path | None:
        """Where they are, if they are here."""
        del checkpoint
        return None

    def newest(self) -> float:
        """When a file was changed last, in seconds since 1970."""
        return max((time for _, _, time in self._signature), default=0) / 1e9

    def read(self) -> list[AnyEvent]:
        """Everything, once."""
        if self._given:
            return []
        self._given = True
        return self._events

    def replaced(self) -> bool:
        """Whether a file has changed since it was read."""
        return signature(self.files()) != self._signature

    def again(self) -> Self:
        """The same, read now; as it was, if it cannot be read now (half written, or deleted)."""
        try:
            return type(self)(self.path)
        except RunError:
            self._signature, self._given = signature(self.files()), False
            return self
