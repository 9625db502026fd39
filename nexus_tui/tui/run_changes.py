"""Deleting, renaming and noting on runs from their list: asked for, done, said, and undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.naming import MoveError, rename, why_not_called
from nexus_tui.runs.notes import NoteError, note
from nexus_tui.runs.run import Run
from nexus_tui.runs.trash import TRASH, delete, restore, weigh
from nexus_tui.training import remote
from nexus_tui.training.control import Note
from nexus_tui.training.remote import RemoteError
from nexus_tui.tui import format as fmt
from nexus_tui.tui.dialogs import Choice, ChoiceDialog, ErrorDialog, LineDialog, note_dialog
from nexus_tui.tui.run_order import Listed

if TYPE_CHECKING:
    from nexus_tui.tui.app import NexusApp

T = TypeVar("T")


class Changes:
    """What the list does to runs. Every change is made in a thread and refused under somebody who trains."""

    def __init__(self, app: NexusApp) -> None:
        self._app = app
        self._undo: list[tuple[str, Callable[[], Path]]] = []

    # What cannot be done -----------------------------------------------------------------------------------

    def why_not(self, action: str, listed: Listed) -> str:
        """Why a run cannot be deleted, renamed or noted on; empty if it can."""
        run, name = listed.run, listed.name
        if run.foreign:
            return f"{name} is another tool's run ({run.kind}): it is looked at here, and never changed."
        if listed.shipped:
            return f"{name} comes with the program and is not changed; it can be pinned, marked and opened."
        if action == "rename" and run.folder.is_symlink():
            return f"{run.folder.name} is a link and goes by the name of what it links to; rename that."
        if action == "note" and run.holder:
            reason = "" if self._trained_here(run) else remote.why_not(run)
            return reason[:1].upper() + reason[1:]
        if run.holder:
            where = "here" if self._trained_here(run) else f"by process {run.holder.pid} on {run.holder.host}"
            return f"{name} is being trained {where}; stop it first."
        return ""

    def why_no_undo(self) -> str:
        """Why nothing can be undone; empty if something can."""
        trash = self._app.runs_folder / TRASH
        kept = f"; what was deleted before is in {trash}" if trash.is_dir() else ""
        return "" if self._undo else f"Nothing was deleted or renamed since the program began{kept}."

    def _trained_here(self, run: Run) -> bool:
        session = self._app.session
        return bool(session and session.alive and session.folder == run.folder)

    # Deleting ----------------------------------------------------------------------------------------------

    async def delete(self, one: Listed, marked: Sequence[Listed]) -> None:
        """Ask whether to delete the run under the cursor, or those that are marked."""
        several = [each for each in marked if not self.why_not("delete", each)]
        weights = await asyncio.to_thread(
            lambda: {each.id: weigh(each.run.folder) for each in (one, *several)}
        )
        place = f"{self._app.runs_folder / TRASH}"
        choices = [Choice("d", "delete it", f"Moves it to {place}, whole; u brings it back.")]
        if several and several != [one]:
            total = fmt.size(sum(weights[each.id] for each in several))
            left = len(marked) - len(several)
            but = f"; {left} cannot be changed and stay{'s' if left == 1 else ''}" if left else ""
            choices.append(
                Choice("m", f"delete the {len(several)} marked", f"{total}, moved there likewise{but}.")
            )
        dialog = ChoiceDialog(f"Delete {one.name}?", _what_it_is(one, weights[one.id]), choices, "warn")

        def answered(key: str | None) -> None:
            if key:
                self._app.run_worker(self._delete([one] if key == "d" else several), exclusive=False)

        self._app.push_screen(dialog, answered)

    async def _delete(self, some: Sequence[Listed]) -> None:
        done = []
        for listed in some:
            place = await self._try(f"{listed.name} was not deleted", partial(delete, listed.run.folder))
            if place is None:
                break
            done.append(listed)
            self._undo.append((f"{listed.name} is back.", partial(restore, place)))
            self._forget(listed.run)
        if done:
            what = done[0].name if len(done) == 1 else f"{len(done)} runs"
            again = "u brings it back" if len(done) == 1 else "u brings them back one by one"
            self._app.say(f"{what} moved to {self._app.runs_folder / TRASH}; {again}.")
        self._app.look_again()

    # Renaming ----------------------------------------------------------------------------------------------

    def rename(self, listed: Listed) -> None:
        """Ask for another name."""
        run, name = listed.run, listed.name
        dialog = LineDialog(
            f"Rename {name}",
            "Its folder gets the new name; marks, pins and what is open follow it.",
            name,
            check=lambda text: (
                "" if text.strip() == name else why_not_called(run.folder.parent, text.strip())
            ),
        )

        def answered(text: str | None) -> None:
            if text and text != name:
                self._app.run_worker(self._rename(run, name, text), exclusive=False)

        self._app.push_screen(dialog, answered)

    async def _rename(self, run: Run, name: str, text: str) -> None:
        folder = await self._try(f"{name} was not renamed", partial(rename, run.folder, text))
        if folder is None:
            return
        self._undo.append((f"{text} is called {name} again.", partial(rename, folder, name)))
        self._follow(run.folder, folder)
        self._app.say(f"{name} is called {text} now; u undoes it.")

    async def undo(self) -> Path | None:
        """Undo the newest change that has not been undone. Where the run is now; None if it failed."""
        sentence, change = self._undo.pop()
        place = await self._try("It was not undone", change)
        if place is None:
            self._undo.append((sentence, change))
            return None
        if isinstance(change, partial) and change.func is rename:
            self._follow(change.args[0], place)
        else:
            self._app.look_again()
        self._app.say(sentence)
        return place

    # Noting ------------------------------------------------------------------------------------------------

    def note(self, listed: Listed) -> None:
        """Ask for a note at the newest step."""
        run, step = listed.run, listed.facts.summary.step

        def answered(text: str | None) -> None:
            if text:
                self._app.run_worker(self._note(run, step, text), exclusive=False)

        self._app.push_screen(note_dialog(step), answered)

    async def _note(self, run: Run, step: int, text: str) -> None:
        session = self._app.session
        if session and self._trained_here(run):
            session.control.request(Note(text, step))
        else:
            change = (
                partial(remote.ask, run, Note(text, step))
                if run.holder
                else partial(_noted, run.folder, step, text)
            )
            if not await self._try(f"{run.name} was not noted on", change):
                return
        self._app.look_again()
        self._app.say(f"Noted at step {step:,} of {run.name}.")

    async def _try(self, failed: str, change: Callable[[], T]) -> T | None:
        """Make a change in a thread: what it gives, or None after saying what stands in the way."""
        try:
            return await asyncio.to_thread(change)
        except (RunLockedError, MoveError, NoteError, RemoteError) as error:
            self._app.push_screen(ErrorDialog(failed, str(error)))
            return None

    # What follows ------------------------------------------------------------------------------------------

    def _forget(self, run: Run) -> None:
        """Nothing of a deleted run is marked any more; a pin waits for it to come back."""
        app, view = self._app, self._app.view
        view.marked = [name for name in view.marked if name != run.name]
        app.marks.set([(mark.run, mark.name) for mark in app.marks.all if mark.run.folder != run.folder])

    def _follow(self, old: Path, new: Path) -> None:
        """Marks, pins and what is open are those of the run under its new name."""
        app, view = self._app, self._app.view

        def called(name: str) -> str:
            return new.name if name == old.name else name

        view.pins, view.marked, view.hidden = (
            [called(name) for name in names] for names in (view.pins, view.marked, view.hidden)
        )
        view.places = {called(name): place for name, place in view.places.items()}
        app.look_again()
        run = next((run for run in app.runs if run.folder == new), None)
        if run:
            app.marks.set([(run if m.run.folder == old else m.run, m.name) for m in app.marks.all])
            if app.current and app.current.folder == old:
                app.current = run
        app.look_again()


def _noted(folder: Path, step: int, text: str) -> Path:
    note(folder, step, text)
    return folder


def _what_it_is(listed: Listed, weight: int) -> str:
    summary = listed.facts.summary
    checkpoints = len(listed.run.checkpoints)
    parts = [
        f"{summary.step:,} steps",
        f"{checkpoints} checkpoint{'s' if checkpoints != 1 else ''}",
        fmt.size(weight),
    ]
    if summary.best_name:
        parts.append(f"best validation loss {fmt.loss(summary.best_loss)}")
    return f"{', '.join(parts)}."
