"""How long a prepared film takes to come out of the cache, against a 16-bit PNG of it, and how long a training sample takes.

``python tests/benchmarks/bench_cache.py`` prints one JSON object. The films are synthetic, 1024 x 1024 in the network
frame; every film is read once before the clock starts, so both read from the page cache. A cached film comes as float32
pixels to write on, with its lung mask. The target is 0.3 ms a film. A training sample, at 448 x 448, has simulated
nodules, placement and grey changes; one core draws it, and 30 ms would leave a network on two cores waiting.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.ingest.catalogue import FilmEntry
from xraynet.preparation import PreparationConfig
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache, GreyCode
from xraynet.samples.dataset import SamplesConfig, TrainingSamples
from xraynet.simulation.phantom import Phantom, draw_phantom

NUM_FILMS, SIDE = 8, 1024
CODE = GreyCode(headroom=PreparationConfig().grey.headroom)


@dataclass(frozen=True, eq=False)
class PhantomLungs:
    """The lungs of a phantom, which are known."""

    phantom: Phantom

    @property
    def box(self) -> np.ndarray:
        return np.zeros((0, 4), dtype=np.float32)

    def mask_stored(self) -> np.ndarray:
        return self.phantom.lung_mask


@dataclass(frozen=True, eq=False)
class PhantomFinder:
    """Knows the lungs of every phantom by its pixels."""

    phantoms: dict[int, Phantom]
    fingerprint: str = "phantoms"

    def segment(self, radiograph: Radiograph) -> PhantomLungs:
        return PhantomLungs(next(one for one in self.phantoms.values() if one.radiograph.pixels is radiograph.pixels))


def run(*, repeats: int = 40) -> dict[str, float | int | str]:
    """Times in milliseconds: cached film, PNG, training sample; and the ratio of the first two."""
    phantoms = {seed: draw_phantom(seed, size=(SIDE, SIDE)) for seed in range(NUM_FILMS)}
    with tempfile.TemporaryDirectory() as folder:
        large = _build(Path(folder), phantoms, mm_per_pixel=400 / SIDE)
        keys = list(large.records)
        paths = [Path(folder) / f"{key}.png" for key in keys]
        for key, path in zip(keys, paths, strict=True):
            cv2.imwrite(str(path), CODE.encode(large.read(key).pixels))
        cached_ms = _best_ms([lambda key=key: large.read(key) for key in keys], repeats)
        png_ms = _best_ms([lambda path=path: _read_png(path) for path in paths], max(2, repeats // 8))
        small = _build(Path(folder), phantoms, mm_per_pixel=0.8)
        samples = TrainingSamples(small, [_entry(seed) for seed in phantoms], config=SamplesConfig(), seed=0)
        refs = [ref for epoch in range(max(1, repeats // 4)) for ref in samples.order(epoch)]
        sample_ms = _best_ms([lambda ref=ref: samples.draw(ref) for ref in refs], 1)
    return {
        "film": f"{SIDE} x {SIDE} prepared, 16 bits",
        "cached_ms": round(cached_ms, 3),
        "target_ms": 0.3,
        "png16_ms": round(png_ms, 2),
        "ratio_png16": round(png_ms / cached_ms, 1),
        "sample_448_ms": round(sample_ms, 2),
        "repeats": repeats,
    }


def _build(folder: Path, phantoms: dict[int, Phantom], *, mm_per_pixel: float) -> FilmCache:
    return build_cache(
        folder,
        [_entry(seed) for seed in phantoms],
        catalogue_fingerprint="phantoms",
        preparation=PreparationConfig(mm_per_pixel=mm_per_pixel),
        lungs=PhantomFinder(phantoms),
        read=lambda entry: phantoms[int(entry.key, 16)].radiograph,
    )


def _entry(seed: int) -> FilmEntry:
    return FilmEntry(
        key=f"{seed:016x}",
        path=Path(f"phantom-{seed}"),
        patient_key=None,
        annotations=NoduleAnnotations(state=LabelState.FREE),
        size=(SIDE, SIDE),
        view_position=ViewPosition.PA,
        sex=None,
        age_years=None,
        spacing=PixelSpacing(400 / SIDE, 400 / SIDE),
        split="train",
        fold=None,
        film_has_nodule=False,
        pixel_hash="",
    )


def _read_png(path: Path) -> np.ndarray:
    return CODE.decode(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def _best_ms(works: list[Callable[[], object]], repeats: int) -> float:
    """The median over all works of each one's best time."""
    best = [float("inf")] * len(works)
    for repeat in range(repeats + 1):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            elapsed = time.perf_counter() - started
            # The first round brings the files into the page cache.
            best[index] = min(best[index], elapsed) if repeat else best[index]
    return 1000 * median(best)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
