"""Imports go down only, NumPy rooms never load torch, and pydicom stays where DICOM is the subject."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "xraynet"

# What each room may import of xraynet, besides itself.
FOUNDATION = {"errors", "files", "csv_text", "geometry", "lung_frame", "settings", "dicom_source", "review_file"}
FILM = FOUNDATION | {"radiograph", "findings"}
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "csv_text": {"errors"},
    "geometry": {"errors"},
    "lung_frame": set(),
    "settings": {"errors"},
    "dicom_source": {"errors"},
    "review_file": {"errors"},
    "radiograph": FOUNDATION,
    "findings": FOUNDATION | {"radiograph"},
    "reading_file": FILM | {"schemas"},
    "follow_up": FILM,
    "preparation": FILM,
    "ingest": FILM,
    "evaluation": FILM | {"reading_file"},
    "reporting": FILM | {"evaluation", "reading_file", "follow_up"},
    "simulation": FILM | {"preparation", "lungs"},
    "lungs": FILM | {"preparation"},
    "detector": FILM | {"preparation"},
    "samples": FILM | {"preparation", "lungs", "detector", "simulation", "ingest", "evaluation", "reporting"},
}
ALLOWED["checkpoint"] = ALLOWED["samples"] | {"samples"}
ALLOWED["training"] = ALLOWED["checkpoint"] | {"checkpoint"}
ALLOWED["inference"] = (ALLOWED["checkpoint"] | {"checkpoint", "reading_file"}) - {"reporting"}
ALLOWED["batch"] = ALLOWED["training"] | {"inference", "training", "reading_file", "follow_up"}
ALLOWED["service"] = ALLOWED["batch"] | {"batch"}
ALLOWED["config"] = ALLOWED["service"] | {"service"}
ALLOWED["cli"] = ALLOWED["config"] | {"config"}

NUMPY_ROOMS = (
    "geometry",
    "lung_frame",
    "radiograph",
    "findings",
    "follow_up",
    "preparation",
    "simulation",
    "ingest",
    "evaluation",
    "reporting",
    "settings",
    "dicom_source",
)
NO_PYDICOM = {"pydicom", "highdicom", "pynetdicom"}
PYDICOM_HOMES = (
    "ingest/dicom",
    "ingest/deidentify",
    "ingest/sr",
    "reporting/dicom_",
    "service/node",
    "service/dicom",
    "cli/doctor",
)


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_checkpoints" not in path.parts)


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room in {"__init__", "__main__"}:
        return
    assert room in ALLOWED, f"{room} is a room that the layer rule does not know"
    asked = {name.split(".")[1] for name in imports_of(path) if name.startswith("xraynet.")}
    reached = {name for name in asked if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}
    too_high = reached - ALLOWED[room] - {room}
    assert not too_high, f"{path.relative_to(PACKAGE)} imports {sorted(too_high)}, which {room} may not"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pydicom_is_imported_only_where_dicom_is_the_subject(path: Path) -> None:
    where = str(path.relative_to(PACKAGE)).removesuffix(".py")
    if where.startswith(PYDICOM_HOMES):
        return
    assert not {name.split(".")[0] for name in imports_of(path)} & NO_PYDICOM


def test_albumentations_is_imported_in_one_module_only() -> None:
    users = [path for path in modules() if any(name.split(".")[0] == "albumentations" for name in imports_of(path))]
    assert [str(path.relative_to(PACKAGE)) for path in users] == ["samples/augment.py"]


def test_no_module_postpones_its_annotations() -> None:
    assert not [path for path in modules() if "__future__.annotations" in imports_of(path)]


@pytest.mark.parametrize("room", NUMPY_ROOMS)
def test_numpy_rooms_never_load_torch(room: str) -> None:
    names = [
        ".".join(("xraynet", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in modules()
        if room_of(path) == room
    ]
    assert names
    code = f"import sys, {', '.join(names)}; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, f"{room} loads torch"


def test_importing_the_package_is_cheap_and_complete() -> None:
    code = (
        "import sys, xraynet; assert not {'torch', 'pydicom', 'cv2'} & set(sys.modules);"
        "[getattr(xraynet, name) for name in xraynet.__all__]; assert set(xraynet.__all__) <= set(dir(xraynet))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
