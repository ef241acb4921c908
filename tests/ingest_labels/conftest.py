"""Where the real tables are that torchxrayvision's wheel carries, and a way to write small ones."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shipped_tables() -> Path:
    """torchxrayvision's folder of real tables, found without importing it (that loads torch)."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchxrayvision, whose wheel carries the real tables, is not installed")
    return Path(spec.origin).parent / "data"


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a table of that name and text, and gives its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
