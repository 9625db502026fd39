import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nexus_tui.runs.journal import Journal
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.channel import FOLDER, MAX_CALLERS, MAX_LINE, SOCKET, Channel, Reply, address
from nexus_tui.training.remote import Presence, RemoteControl, RemoteError, ask


class Trained:
    """A run whose trainer does at once whatever it is asked for, at step 7."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        Journal(folder / "journal.jsonl").close()
        self.lock = RunLock(folder)
        self.control = c.Control()
        self.channel = Channel(folder, self.control)
        self.run = Run(folder)
        self.taken: list[c.Act] = []
        threading.Thread(target=self._carry_out, daemon=True).start()

    def _carry_out(self) -> None:
        while wish := self.control.take(0, wait=True):
            self.taken.append(wish.act)
            if isinstance(wish.act, c.Plan):
                wish.refuse("it is past that.")
            else:
                wish.done(7)

    def say(self, line: bytes) -> Reply | None:
        """What the channel answers to a line; None if it hangs up."""
        with socket.socket(socket.AF_UNIX) as caller, address(self.run.folder / FOLDER) as where:
            caller.settimeout(5)
            caller.connect(where)
            try:
                caller.sendall(line + b"\n")
                answer = caller.makefile("rb").readline()
            except (ConnectionResetError, BrokenPipeError):
                return None
            return msgspec.json.decode(answer, type=Reply) if answer else None


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Trained]:
    found = Trained(tmp_path / "run")
    yield found
    found.channel.close()
    found.lock.release()


@pytest.mark.parametrize(
    "act",
    [
        c.Pause(),
        c.Continue(),
        c.Save(),
        c.Evaluate(),
        c.Sample(),
        c.ScaleRate(0.5),
        c.Note("a\x1b[31mb"),
        c.Stop(),
    ],
)
def test_an_act_arrives_as_it_was_sent_and_the_answer_says_where_it_was_carried_out(
    trained: Trained, act: c.Act
) -> None:
    assert ask(trained.run, act).step == 7
    assert trained.taken == [act]


def test_a_refusal_is_told_with_its_reason(trained: Trained) -> None:
    with pytest.raises(RemoteError, match="run: it is past that"):
        ask(trained.run, c.Plan(3))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"pause",
        b'{"act":"explode"}',
        b'{"act":"rate"}',
        b'{"act":"rate","scale":-1}',
        b'{"act":"rate","scale":1e9}',
        b'{"act":"plan","steps":0}',
        b'{"act":"note","text":""}',
        b'{"act":"pause","and":"more"}',
        b'{"act":"hello","who":"' + b"x" * 300 + b'"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_what_is_no_wish_is_refused_and_reaches_no_trainer(trained: Trained, line: bytes) -> None:
    answer = trained.say(line)
    assert answer is not None
    assert answer.error.startswith("that is no wish")
    assert not trained.taken


def test_a_line_without_end_ends_the_connection(trained: Trained) -> None:
    assert trained.say(b"x" * (MAX_LINE + 100)) is None
    assert ask(trained.run, c.Save()).step == 7


def test_only_the_owner_gets_in(trained: Trained) -> None:
    folder = trained.run.folder / FOLDER
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600


def test_another_users_process_is_hung_up_on(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.getuid()
    monkeypatch.setattr("nexus_tui.training.channel.os.getuid", lambda: own + 1)
    if own == 0:
        monkeypatch.setattr("nexus_tui.training.channel.ROOT", own + 2)
    assert trained.say(b'{"act":"pause"}') is None
    assert not trained.taken


def test_those_who_say_nothing_or_half_a_message_keep_nobody_out(trained: Trained) -> None:
    before = threading.active_count()
    silent = [socket.socket(socket.AF_UNIX) for _ in range(3 * MAX_CALLERS)]
    with address(trained.run.folder / FOLDER) as where:
        for number, one in enumerate(silent):
            one.connect(where)
            one.sendall(b'{"act":' if number % 2 else b"")
        assert ask(trained.run, c.Save()).step == 7
    assert threading.active_count() - before <= MAX_CALLERS + 2
    silent[0].settimeout(5)
    assert silent[0].recv(1) == b""
    for one in silent:
        one.close()


def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="not a folder of yours"):
        Channel(tmp_path / "run", c.Control())
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_path_may_be_longer_than_a_socket_allows(tmp_path: Path) -> None:
    found = Trained(tmp_path / ("d" * 90) / "run")
    try:
        assert ask(found.run, c.Save()).step == 7
    finally:
        found.channel.close()
        found.lock.release()


def test_a_socket_left_behind_is_taken_over_and_none_is_left(tmp_path: Path) -> None:
    first = Trained(tmp_path / "run")
    first.lock.release()
    first.lock = RunLock(first.run.folder)
    again = Channel(first.run.folder, first.control)
    assert ask(first.run, c.Save()).step == 7
    again.close()
    assert not (first.run.folder / FOLDER).exists()
    with pytest.raises(RemoteError, match="has no socket"):
        ask(first.run, c.Save())
    first.lock.release()
    first.run.refresh()
    with pytest.raises(RemoteError, match="nobody trains run now"):
        ask(first.run, c.Save())


def test_a_screen_hears_why_its_wish_was_not_carried_out(trained: Trained) -> None:
    told: list[str] = []
    heard = threading.Event()
    control = RemoteControl(trained.run, lambda words: (told.append(words), heard.set()))
    control.request(c.Plan(1))
    assert heard.wait(5)
    assert told == ["run: it is past that."]


def test_everyone_who_looks_hears_of_the_others(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Presence(trained.run), Presence(trained.run)
    monkeypatch.setattr("nexus_tui.training.remote.whoami", lambda: "ada on pts/1")
    assert not one.refresh()
    monkeypatch.setattr("nexus_tui.training.remote.whoami", lambda: "bob on pts/2")
    assert other.refresh()
    assert other.others == ("ada on pts/1",)
    assert one.refresh()
    assert one.others  # each says who it is when it asks
    other.close()
    for _ in range(100):  # until the channel has noticed
        one.refresh()
        if not one.others:
            break
    assert one.others == ()
    one.close()


def test_wishes_that_nobody_will_carry_out_are_refused() -> None:
    control = c.Control()
    wish = control.request(c.Save())
    control.end()
    assert wish.wait(0)
    assert wish.refusal == "training has ended."
