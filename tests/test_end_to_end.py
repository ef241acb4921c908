"""xraynet as it is installed: from a wheel, away from its checkout; and the checkout finds the same checkpoints."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from dicom_files import write_dicom

from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.lungs.segmenter import find_shipped_lungs
from xraynet.simulation.phantom import draw_phantom

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ("xraynet.safetensors", "lungs.safetensors")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an empty environment that holds the wheel; all else is read from the tests' environment.

    A folder named in a .pth file joins the path without its own .pth files, and so without the editable xraynet.
    """
    home = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    programs = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)}))
    libraries = Path(sysconfig.get_path("purelib", "venv", {"base": str(home)}))
    (libraries / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, wheel, cwd=home.parent)
    return programs


def run(*words: str | Path, cwd: Path) -> str:
    """What a program says, run without anything that would lead it back to the checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COVERAGE", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**kept, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_wheel_carries_package_presets_templates_schemas_and_checkpoints(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "xraynet"
    tracked = run("git", "ls-files", "xraynet", cwd=ROOT).splitlines() if (ROOT / ".git").exists() else []
    assert set(tracked) <= names
    assert {f"xraynet/_checkpoints/{name}" for name in CHECKPOINTS} <= names
    assert {f"xraynet/presets/{path.name}" for path in (package / "presets").glob("*.toml")} <= names
    stray = [name for name in names if not name.startswith(("xraynet/", "xraynet-"))]
    assert stray == []


def test_the_wheel_reads_a_film_away_from_its_checkout(installed: Path, tmp_path: Path) -> None:
    pixels = (draw_phantom(1, size=(512, 512)).radiograph.pixels * 4095).astype("uint16")
    write_dicom(tmp_path / "phantom.dcm", pixels, BitsStored=12, ImagerPixelSpacing=[0.8, 0.8], ViewPosition="PA")
    code = "import xraynet, xraynet.checkpoint as c; print(xraynet.__file__); print(c.find_shipped_checkpoint())"
    module, checkpoint = map(Path, run(installed / "python", "-c", code, cwd=tmp_path).splitlines())
    assert module.is_relative_to(installed.parent)
    assert checkpoint == module.parent / "_checkpoints" / "xraynet.safetensors"

    said = run(installed / "xraynet", "predict", "phantom.dcm", "--out", "results", cwd=tmp_path)
    assert said.splitlines()[-1] == "1 ok, 0 refused, 0 failed"
    reading = json.loads(next((tmp_path / "results").rglob("reading.json")).read_text())
    assert reading["status"] == "ok"
    assert reading["checkpoint"]["name"] == "xraynet"
    assert next((tmp_path / "results").rglob("report.html")).is_file()

    page = run(installed / "xraynet", "doctor", cwd=tmp_path)
    assert str(module.parent / "_checkpoints" / "lungs.safetensors") in page
    assert reading["checkpoint"]["fingerprint"][:16] in page
    assert "not usable" not in page
    assert "the detector was made with others" not in page


def test_wheel_and_checkout_hold_the_same_checkpoints(wheel: Path) -> None:
    found = {"xraynet.safetensors": find_shipped_checkpoint(), "lungs.safetensors": find_shipped_lungs()}
    with zipfile.ZipFile(wheel) as archive:
        for name, path in found.items():
            assert path == ROOT / "checkpoints" / name
            assert sha256(path.read_bytes()) == sha256(archive.read(f"xraynet/_checkpoints/{name}"))
