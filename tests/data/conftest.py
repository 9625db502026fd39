"""The corpus for the tests of this folder, without a look at the user's cache."""

from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from nexus_tui.data.corpus import Corpus, load_corpus


@pytest.fixture(scope="session")
def shakespeare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    cache: Path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_path", lambda name: cache / name)
        corpus = load_corpus("tinyshakespeare")
    yield corpus
