"""What several tests share."""

import shutil
from collections.abc import Iterator

import pytest

from breakeven.launch.embedded import start_embedded
from breakeven.launch.launched import Launched
from breakeven.launch.models import fetch_embedded_model
from browser import Browser


@pytest.fixture(scope="session")
def embedded_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """The real embedded engine with four slots; its model is fetched once into the user's cache folder."""
    log_path = tmp_path_factory.mktemp("engine") / "engine.log"
    with start_embedded(slots=4, model_path=fetch_embedded_model(), log_path=log_path) as engine:
        yield engine


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The real browser, with a profile of its own."""
    profile = tmp_path_factory.mktemp("profile")
    with Browser(profile) as one:
        yield one
    shutil.rmtree(profile, ignore_errors=True)
