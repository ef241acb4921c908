"""How long a raw DICOM film takes to become a network's input: xraynet against torchxrayvision's chain, in one run.

``python tests/benchmarks/bench_decode.py`` prints one JSON object. The film is synthetic: 3000 x 2500 pixels, 12 bits in 16.
Every chain runs once before the clock starts, so all read from the page cache. ``ratio`` is against torchxrayvision's
default chain (load_image, XRayCenterCrop, XRayResizer), ``ratio_cv2`` against the same with its faster resizer. xraynet's
time includes the file's SHA-256, the geometry and the robust grey normalisation, which the others do not do.
"""

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from xraynet.ingest.read import read_radiograph
from xraynet.preparation import PreparationConfig, prepare_film

HEIGHT, WIDTH, SIDE = 3000, 2500, 512


def run(*, repeats: int = 9) -> dict[str, float | int | str]:
    """Best times of ``repeats`` alternating runs, in milliseconds, and their ratio."""
    # torchxrayvision imports torch, requests and scikit-image: only here, so that nobody else pays for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchxrayvision.datasets import XRayCenterCrop, XRayResizer
        from torchxrayvision.utils import load_image

        crop, default_resizer, cv2_resizer = XRayCenterCrop(), XRayResizer(SIDE), XRayResizer(SIDE, engine="cv2")
    config = PreparationConfig(film_long_side_px=SIDE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.dcm"
        _write_film(path)

        def ours() -> None:
            prepare_film(read_radiograph(path), config)

        def theirs() -> None:
            default_resizer(crop(load_image(str(path))))

        def theirs_with_cv2() -> None:
            cv2_resizer(crop(load_image(str(path))))

        ours_s, theirs_s, theirs_cv2_s = _race((ours, theirs, theirs_with_cv2), repeats=repeats)
    return {
        "film": f"{HEIGHT} x {WIDTH}, 12 of 16 bits, raw DICOM",
        "xraynet_ms": round(1000 * ours_s, 2),
        "torchxrayvision_ms": round(1000 * theirs_s, 2),
        "torchxrayvision_cv2_ms": round(1000 * theirs_cv2_s, 2),
        "ratio": round(theirs_s / ours_s, 2),
        "ratio_cv2": round(theirs_cv2_s / ours_s, 2),
        "repeats": repeats,
    }


def _race(chains: tuple[Callable[[], None], ...], *, repeats: int) -> list[float]:
    best = [float("inf")] * len(chains)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chain in chains:
            chain()
        for _ in range(repeats):
            for index, chain in enumerate(chains):
                started = time.perf_counter()
                chain()
                best[index] = min(best[index], time.perf_counter() - started)
    return best


def _write_film(path: Path) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = (2000 + 1500 * np.sin(x / 300) * np.cos(y / 400) + rng.normal(0, 15, x.shape)).astype("<u2")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["bench_decode"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.Modality, film.PresentationIntentType = "DX", "FOR PRESENTATION"
    film.PhotometricInterpretation, film.SamplesPerPixel = "MONOCHROME2", 1
    film.Rows, film.Columns = pixels.shape
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.ImagerPixelSpacing = [0.14, 0.14]
    film.PixelData = pixels.tobytes()
    film.save_as(path, enforce_file_format=True)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
