"""A folder as nobody would wish for: films among cuts, words, frames, twins and links, under names that bite."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from dicom_files import write_dicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEGLosslessSV1

from xraynet.radiograph import PixelSpacing, Radiograph
from xraynet.simulation.phantom import draw_phantom

KINDS = {
    "film": 0.12, "compressed": 0.02, "raster": 0.02, "twin": 0.24, "blank": 0.06, "cut": 0.10, "words": 0.12, "frames": 0.08,
    "empty": 0.06, "damaged": 0.06, "link-inside": 0.04, "link-outside": 0.04, "sidecar": 0.04,
}  # fmt: skip
"""What a file may be, and how often it is."""

STATUS = {
    "film": "ok", "compressed": "ok", "raster": "ok", "blank": "refused gate.blank", "cut": "failed truncated",
    "words": "refused not-an-image", "frames": "refused multi-frame", "empty": "failed truncated",
    "damaged": "failed truncated",
}  # fmt: skip
"""What has to become of it."""

NAMES = (
    b"%d.dcm", b"%d", b"film %d.DCM", b"<img src=x onerror=alert(%d)>.dcm", b"=HYPERLINK(%d)", b"@SUM(%d).dcm", b"-rf %d",
    b"line\nbreak%d.dcm", b"tab\t'\"%d.dcm", b"%d\xe2\x80\xaemcd.exe", b"{{ %d }}{%% x %%}", b"n" * 240 + b"%d",
    b"\xff\xfe\xc3%d.dcm",
)  # fmt: skip


@dataclass
class HostileFolder:
    """``expected``: the status and code of every file that needs an outcome, by its name as it is shown."""

    root: Path
    expected: dict[str, str] = field(default_factory=dict)
    num_reading: int = 0


def draw_bases(num: int = 4) -> list[NDArray[np.uint16]]:
    """A few small phantoms, 12 bits: the films are variations of them."""
    return [np.rint(draw_phantom(seed, size=(128, 128)).radiograph.pixels * 4095).astype(np.uint16) for seed in range(num)]


def vary(base: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Another film: shifted and grainy."""
    shifted = np.roll(base, tuple(rng.integers(-12, 13, 2)), axis=(0, 1))
    return np.clip(shifted + rng.normal(0, 40, base.shape), 0, 4095).astype(np.uint16)


def to_radiograph(film: NDArray[np.uint16]) -> Radiograph:
    return Radiograph(pixels=film.astype(np.float32) / 4095, spacing=PixelSpacing(3.2, 3.2), sha256="0" * 64)


def write_hostile_folder(root: Path, *, num: int, seed: int, bases: list[NDArray[np.uint16]]) -> HostileFolder:
    """``num`` files in nested folders; the same seed writes the same folder."""
    rng = np.random.default_rng(seed)
    made = HostileFolder(root)
    kinds = rng.choice(list(KINDS), size=num, p=list(KINDS.values()))
    kinds[: len(STATUS)] = list(STATUS)  # one of each at least, and something to be a twin of
    outside = root.parent / "outside.dcm"
    write_film(outside, "film", bases[0], rng)
    earlier: list[tuple[Path, str]] = []
    for index, kind in enumerate(kinds):
        folder = root / f"ward{index % 7}" / f"<b>day{index % 3}" if index % 7 else root
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / os.fsdecode(NAMES[int(rng.integers(len(NAMES)))] % index)
        kind = "twin" if kind == "twin" and earlier else str(kind)
        if kind == "sidecar":
            path.with_name(f"{index}.csv").write_text("path,finding\n")
        elif kind == "link-outside":
            path.symlink_to(outside)
        else:
            try:
                status = write_copy(path, kind, earlier, rng) or write_film(path, kind, bases[index % len(bases)], rng)
            except (OSError, UnicodeError):  # a file system that takes only UTF-8, or shorter names
                path = folder / f"{index}.dcm"
                status = write_copy(path, kind, earlier, rng) or write_film(path, kind, bases[index % len(bases)], rng)
            shown = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
            made.expected[shown] = status
            if kind not in {"twin", "link-inside"}:
                earlier.append((path, status))
                made.num_reading += status == "ok" or "gate." in status
    return made


def write_copy(path: Path, kind: str, earlier: list[tuple[Path, str]], rng: np.random.Generator) -> str:
    """A twin of an earlier file, or a link to it: the status of that file; empty for other kinds."""
    if kind not in {"twin", "link-inside"}:
        return ""
    original, status = earlier[int(rng.integers(len(earlier)))]
    if kind == "twin":
        path.write_bytes(original.read_bytes())
    else:
        path.symlink_to(original)
    return status


def write_film(path: Path, kind: str, base: NDArray[np.uint16], rng: np.random.Generator) -> str:
    """A file of one kind; returns what has to become of it."""
    film = vary(base, rng)
    tags = {"ImagerPixelSpacing": [3.2, 3.2], "BitsStored": 12}
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "words":
        path.write_bytes(b"no film, but words " + rng.bytes(8).hex().encode())
    elif kind == "raster":
        Image.fromarray((film >> 4).astype(np.uint8)).save(path, format="PNG")
    elif kind == "blank":
        write_dicom(path, np.full_like(film, int(rng.integers(1, 4096))), PatientID=str(rng.integers(1 << 30)), **tags)
    elif kind == "frames":
        write_dicom(path, film, NumberOfFrames=2, PixelData=film.tobytes() * 2, **tags)
    elif kind in {"compressed", "damaged"}:
        write_dicom(path, film, syntax=JPEGLosslessSV1, **tags)
    else:
        write_dicom(path, film, **tags)
    if kind in {"cut", "damaged"}:
        content = path.read_bytes()
        path.write_bytes(content[: int(rng.integers(len(content) // 2, len(content) - 300))])
    return STATUS[kind]
