"""Shape checks on while tests run, no network, and where the development films are."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if os.environ.get("JAXTYPING_DISABLE") != "1":
    from jaxtyping import install_import_hook

    install_import_hook("xraynet", "tower.check")

import socket
from pathlib import Path

import pytest

collect_ignore_glob = ["support/loopback/*"]
"""Read by subprocesses of their own, never by the collector."""

SHARED_FILMS = Path(os.environ.get("XRAYNET_SHARED_FILMS", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Salts and other settings of the person who runs the tests are neither read nor written."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection beyond this machine's own sockets fails the test that opened it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        loopback = isinstance(address, tuple) and str(address[0]) in {"127.0.0.1", "::1", "localhost"}
        if self.family == getattr(socket, "AF_UNIX", None) or loopback:
            connect(self, address)  # type: ignore[arg-type]
            return
        raise AssertionError(f"a test opened a connection to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared_films() -> Path:
    """The development films; a test that asks for them skips where they are not."""
    if not SHARED_FILMS.is_dir():
        pytest.skip(f"the development films are not at {SHARED_FILMS}")
    return SHARED_FILMS


@pytest.fixture(scope="session")
def orthanc_program() -> str:
    """Orthanc with its DICOMweb plugin (``support/orthanc.py`` starts it); skips where it is not there, fails in CI."""
    from orthanc import find_missing, find_program

    missing = find_missing()
    if missing is not None:
        message = f"{missing}: make test-tools installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return find_program() or ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The untyped lane runs only its own tests; the typed lane leaves them out."""
    untyped = os.environ.get("JAXTYPING_DISABLE") == "1"
    for item in items:
        if (item.get_closest_marker("untyped") is not None) != untyped:
            item.add_marker(pytest.mark.skip(reason="runs in the other lane (JAXTYPING_DISABLE)"))
