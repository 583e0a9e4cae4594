"""What several tests share."""

from collections.abc import Iterator

import pytest

from breakeven.launch.embedded import Launched, start_embedded
from breakeven.launch.models import fetch_embedded_model


@pytest.fixture(scope="session")
def embedded_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """The real embedded engine with four slots; its model is fetched once into the user's cache folder."""
    log_path = tmp_path_factory.mktemp("engine") / "engine.log"
    with start_embedded(slots=4, model_path=fetch_embedded_model(), log_path=log_path) as engine:
        yield engine
