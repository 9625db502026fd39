"""The texts on the playground's desk: the one that is written now, and those before it to go back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.comparison import Subject
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui.inspector import spelled
from nexus_tui.tui.theme import glyphs
from nexus_tui.tui.thoughts import Thoughts
from nexus_tui.tui.token_text import TokenText
from nexus_tui.tui.writer import Opener, Reader, Share, Source, Writer

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Novelty, Originals

KEPT = 20
"""Texts that are kept."""
KEPT_TOKENS = 300_000
"""Tokens of all of them together; the newest text is kept however long it is."""


@dataclass
class Version:
    """One text: from what it came, its tokens and what was thought of them, and the thread it comes from."""

    run: Run
    checkpoint: Checkpoint
    prompt: str | bytes
    settings: dict[str, Any]
    """The arguments of `Sampling`; empty for a text that was scored."""
    stop: tuple[str, ...]
    source: Source
    text: TokenText
    thoughts: Thoughts
    steps: tuple[str, ...] = ()
    """How it came to be, a few words for each branch and continuation."""
    before: int = field(default=0)
    """Tokens that were there before the source began."""

    @property
    def scored(self) -> bool:
        """Whether the text was given, not written."""
        return isinstance(self.source, Reader)

    @property
    def name(self) -> str:
        """The checkpoint's."""
        return self.checkpoint.path.name

    @property
    def label(self) -> str:
        """The checkpoint as commands name it, run and step."""
        return Subject(self.run, self.name).label

    @property
    def novelty(self) -> Novelty | None:
        """What of it is copied, once that is known."""
        return self.source.novelty if isinstance(self.source, Writer) else None

    @property
    def written(self) -> bytes:
        """All tokens' bytes."""
        return b"".join(self.thoughts.tokens)

    @property
    def busy(self) -> bool:
        """Whether anything is still being found out."""
        return self.source.busy

    def take(self) -> str:
        """Take what came; what is new of what is shown."""
        more = ""
        for piece in self.source.take():
            self.thoughts.vocabulary = self.source.vocabulary
            self.thoughts.add(piece)
            more += self.text.add(piece.token, piece.text)
        return more


class Desk:
    """Starts texts and keeps them, the newest last. Nothing here waits.

    `originals` gives the training text of a run, in the thread that writes; `share` the share of a core,
    and `opener` opens checkpoints there.
    """

    def __init__(
        self,
        originals: Callable[[Run], Originals] | None,
        share: Share = 1.0,
        opener: Opener = Sampler.open,
    ) -> None:
        self.versions: list[Version] = []
        self.place = -1
        self._originals, self._share, self._opener = originals, share, opener

    @property
    def current(self) -> Version | None:
        """The text that is shown."""
        return self.versions[self.place] if self.versions else None

    # Beginning -------------------------------------------------------------------------------------------

    def write(
        self,
        run: Run,
        checkpoint: Checkpoint,
        prompt: str | bytes,
        settings: Mapping[str, Any],
        stop: Sequence[str] = (),
    ) -> Version:
        """A new text."""
        return self._begin(run, checkpoint, prompt, settings, stop, Thoughts(), ())

    def go_on(self, settings: Mapping[str, Any], stop: Sequence[str] = ()) -> Version | None:
        """The text that is shown, and more of it, as one run would have written it."""
        old = self.current
        if old is None or not len(old.thoughts):
            return None
        step = f"continued at token {len(old.thoughts):,}{_changes(old, settings)}"
        thoughts = old.thoughts.before(len(old.thoughts))
        return self._begin(old.run, old.checkpoint, old.prompt, settings, stop, thoughts, (*old.steps, step))

    def branch(
        self, place: int, option: int, settings: Mapping[str, Any], stop: Sequence[str] = ()
    ) -> Version | None:
        """The text before a place, an alternative there, and what follows it, with the same draws."""
        old = self.current
        if old is None or place >= len(old.thoughts) or option >= len(old.thoughts[place].options):
            return None
        was, now = old.thoughts[place].token, old.thoughts[place].options[option].token
        step = f"branched at token {place + 1:,}: {spelled(now)} for {spelled(was)}{_changes(old, settings)}"
        thoughts = old.thoughts.instead(place, option)
        return self._begin(old.run, old.checkpoint, old.prompt, settings, stop, thoughts, (*old.steps, step))

    def score(self, run: Run, checkpoint: Checkpoint, text: str | bytes) -> Version:
        """A given text, with what the checkpoint thinks of it."""
        source = Reader(checkpoint, text, self._opener, share=self._share)
        version = Version(run, checkpoint, "", {}, (), source, TokenText("", glyphs().ascii), Thoughts())
        return self._keep(version)

    def _begin(
        self,
        run: Run,
        checkpoint: Checkpoint,
        prompt: str | bytes,
        settings: Mapping[str, Any],
        stop: Sequence[str],
        thoughts: Thoughts,
        steps: tuple[str, ...],
    ) -> Version:
        text = TokenText(prompt, glyphs().ascii)
        for token in thoughts.tokens:
            text.add(token)
        source = Writer(
            checkpoint,
            prompt,
            settings,
            self._opener,
            first_ids=tuple(thoughts.ids),
            first_bytes=b"".join(thoughts.tokens),
            stop=stop,
            share=self._share,
            originals=partial(self._originals, run) if self._originals else None,
        )
        return self._keep(
            Version(
                run, checkpoint, prompt, dict(settings), tuple(stop), source, text, thoughts, steps,
                len(thoughts),
            )
        )  # fmt: skip

    def _keep(self, version: Version) -> Version:
        """Put a text on the desk and start it; what came after the one that was shown is dropped."""
        self.stop()
        self.versions = [*self.versions[: self.place + 1], version][-KEPT:]
        while len(self.versions) > 1 and sum(len(v.thoughts) for v in self.versions) > KEPT_TOKENS:
            del self.versions[0]
        self.place = len(self.versions) - 1
        version.source.start()
        return version

    # Going on --------------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """End what is being written; whether anything was."""
        live = [version for version in self.versions if version.source.live]
        for version in live:
            version.source.stop()
        return bool(live)

    def leave(self) -> None:
        """End everything: the program is left, and waits for no figure."""
        for version in self.versions:
            version.source.leave()

    def move(self, by: int) -> bool:
        """Show the text before, or after; whether there is one."""
        if not 0 <= self.place + by < len(self.versions):
            return False
        self.stop()
        self.place += by
        self.versions[self.place].take()
        return True

    def clear(self) -> None:
        """End what is being written, and keep no text."""
        self.stop()
        self.versions, self.place = [], -1


def _changes(old: Version, settings: Mapping[str, Any]) -> str:
    """Which settings are others than before, but for the number of tokens."""
    changed = [
        f"{key} {_number(old.settings[key])} → {_number(settings[key])}"
        for key in old.settings
        if key != "max_tokens" and settings.get(key) != old.settings[key]
    ]
    return f" ({', '.join(changed)})" if changed else ""


def _number(value: float) -> str:
    """A setting: a seed whole, however long it is."""
    return f"{value:g}" if isinstance(value, float) else str(value)
