from collections.abc import Iterator
from pathlib import Path

import pytest
from node_desk import Desk, open_desk
from node_peers import Certificates, make_certificates


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path / "node") as opened:
        yield opened


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
