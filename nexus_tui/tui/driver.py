"""A driver for terminals at the end of a bad link: they may stall, and they may go away.

What it adds to Textual's: frames that a stalled terminal cannot take are dropped, not waited for, and the
screen is painted anew when it can; a terminal that is gone ends the screen and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import sys
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual import events, messages
from textual._parser import ParseError
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from nexus_tui.tui.pasting import PasteParser
from nexus_tui.tui.thrift import thrifty

if TYPE_CHECKING:
    from textual.app import App

STALLED = 128 * 1024
"""Bytes that wait for the terminal before frames are dropped: a full screen is a tenth of that."""
_PATIENCE = 1.0
"""Seconds that the end of the screen waits for the terminal to take the last of it."""


class SteadyDriver(LinuxDriver):
    """Reads keys and writes frames until the terminal is gone."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        if self._file is None or not self._file.isatty():
            self._file = sys.__stdout__  # errors go elsewhere, not the screen
        self.lost = False
        """Whether the terminal is gone."""
        self._running: asyncio.AbstractEventLoop | None = None
        self._output: Output | None = None

    def start_application_mode(self) -> None:
        """As Textual's, with an output that never blocks."""
        self._running = asyncio.get_running_loop()
        assert self._file is not None, "a terminal has been checked for"
        self._output = Output(self._file.fileno(), self._drained, self.hang_up)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None:
            self._writer_thread.stop()  # ours writes; it has had nothing to do
            self._writer_thread = None

    def stop_application_mode(self) -> None:
        """As Textual's; what gives the terminal back is not dropped."""
        if self._output:
            self._output.droppable = False
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Send to the terminal, or drop it if that is stalled or gone."""
        if self._output and not self.lost:
            self._output.write(thrifty(data).encode("utf-8", "replace"))

    def flush(self) -> None:
        """Nothing to do: the output's thread writes at once."""

    def close(self) -> None:
        """Wait a moment until the terminal has taken the last of it."""
        if self._output:
            self._output.close(0 if self.lost else _PATIENCE)

    def hang_up(self) -> None:
        """The terminal is gone: end the screen. Any thread may say so, more than once."""
        if self.lost:
            return
        self.lost = True
        self.exit_event.set()
        if self._running:
            with contextlib.suppress(RuntimeError):  # the screen has just ended
                self._running.call_soon_threadsafe(self._app.terminal_lost)  # type: ignore[attr-defined]

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own word: an exported COLUMNS does not follow it to another size."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if all(size):  # one that was told no size has none
                return size
        return super()._get_terminal_size()

    def _query_in_band_window_resize(self) -> None:
        """Sizes come with a signal, which no link can garble."""

    def process_message(self, message: Message) -> None:
        """As Textual's. A size that was read among the keys is none: it could be any."""
        if not isinstance(message, events.Resize | messages.InBandWindowResize):
            super().process_message(message)

    def send_message(self, message: Message) -> None:
        """As Textual's, unless the screen has just ended: a key may come a moment later."""
        coroutine = self._app._post_message(message)
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()

    def _drained(self) -> None:
        """What was dropped is painted anew."""
        if self._running and not self.lost:
            with contextlib.suppress(RuntimeError):
                self._running.call_soon_threadsafe(self._app.screen.refresh)

    def _sigcont_application(self, *arguments: Any) -> None:
        """The kernel wakes what a hang-up finds asleep: there is nothing to come back to then.

        Who was stopped otherwise than by ctrl+z never left the terminal: another thread would read its keys
        too, and the terminal would be left as the program has it.
        """
        if self.lost:
            return
        if self._key_thread is not None and self._key_thread.is_alive():
            self.suspend_application_mode()
        super()._sigcont_application(*arguments)

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self.hang_up()

    def run_input_thread(self) -> None:
        """Read keys until the screen ends. The end of the input is the end of the terminal."""
        parser, decode = PasteParser(self._debug), getincrementaldecoder("utf-8")("replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    data = os.read(self.fileno, 4096)
                    if not data:
                        self.hang_up()
                        return
                    if text := decode(data):  # half a character is none yet, and nothing means the end
                        for message in parser.feed(text):
                            self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
        with contextlib.suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass


class Output:
    """Writes bytes to a terminal in a thread of its own, as fast as that takes them."""

    def __init__(self, fileno: int, drained: Callable[[], None], lost: Callable[[], None]) -> None:
        """`drained` is called when the terminal has caught up after a drop, `lost` when it is gone."""
        self.dropped = 0
        """Writes that a stalled terminal could not take."""
        self.droppable = True
        self._fileno, self._drained, self._lost = fileno, drained, lost
        self._waiting: list[bytes] = []
        self._size = 0
        self._behind = self._closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Send all of it, or drop all of it if too much waits already. Never blocks."""
        with self._news:
            stalled = self._behind or (self._size > 0 and self._size + len(data) > STALLED)
            if stalled and self.droppable:
                self._behind = True
                self.dropped += 1
                return
            self._waiting.append(data)
            self._size += len(data)
            self._news.notify()

    def close(self, patience: float) -> None:
        """Write what waits, for `patience` seconds at most."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(patience)

    def _run(self) -> None:
        # Descriptors and not files: a thread that is stuck in a file's write holds its lock at the end.
        while data := self._next():
            try:
                while data:
                    written = os.write(self._fileno, data)
                    data = data[written:]
                    with self._news:
                        self._size -= written
            except OSError:
                self._lost()
                return

    def _next(self) -> bytes:
        """What waits, as soon as something does; nothing at the end."""
        with self._news:
            if not self._waiting and self._behind:
                self._behind = False
                self._drained()
            self._news.wait_for(lambda: self._waiting or self._closed)
            data = b"".join(self._waiting)
            self._waiting.clear()
            return data
