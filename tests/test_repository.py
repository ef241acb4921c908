"""What must never be committed, and what a release needs."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> list[Path]:
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_film_and_no_large_file_is_tracked() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tests" / "no_films.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_no_address_of_a_package_registry_is_tracked() -> None:
    hosts = re.compile(r"\b(pypi|pythonhosted|npmjs|debian|download\.pytorch)\.(org|net|com)")
    for path in tracked():
        if path.suffix in {".py", ".toml", ".txt", ".md", ".yaml", ".yml", ".sh", ".cff", ""}:
            assert not hosts.search(path.read_text(encoding="utf-8", errors="ignore")), path


def test_constraints_hold_names_and_exact_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_every_dependency_is_bounded_below_and_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    constrained = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    wanted = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]
    for requirement in wanted:
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)(?:>=|==)([0-9.]+)", requirement).groups()  # type: ignore[union-attr]
        assert version
        assert name.lower().replace("_", "-") in constrained, name


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'__version__ = "{version}"' in (ROOT / "xraynet" / "__init__.py").read_text()
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text()


# Extras that the package itself imports, where a verb asks for them.
EXTRAS = ("pacs", "review", "pdf")
# Decoders that pydicom finds by itself.
NEVER_IMPORTED = {"pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls"}


def test_dependencies_are_what_the_package_imports_no_more_and_no_less() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[>=]", one)[0].lower() for one in project["dependencies"]}
    extras = {re.split(r"[>=]", one)[0].lower() for name in EXTRAS for one in project["optional-dependencies"][name]}
    imported: set[str] = set()
    for path in (ROOT / "xraynet").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    homes = packages_distributions()
    needed = [
        {home.lower().replace("_", "-") for home in homes[name]}
        for name in imported - set(sys.stdlib_module_names) - {"xraynet"}
    ]
    known = declared | extras
    assert all(home & known for home in needed), [sorted(home) for home in needed if not home & known]
    assert declared - set().union(*needed) == NEVER_IMPORTED
    assert extras <= set().union(*needed)
