"""Nodules drawn into NIH validation films once and kept: their parameters, place and grey scale, so that nothing can move them.

Each film of ``frozen_nodules.json`` gets one nodule of 10 to 15 mm whose contrast-to-noise is at least 3 (mean inside minus
mean of the ring of 1 to 1.5 diameters, over the ring's deviation, on the film at 1 mm a pixel); under a fifth of them lie
behind heart or diaphragm. A film is known by its pixels' hash, so any catalogue of NIH's films finds it. Each is used twice,
with its nodule and as it is: false marks are counted on both.

``draw_list`` made the file, with the seed that it names; it is run again only where the simulator's version has changed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.findings import NoduleAnnotations
from xraynet.geometry import clip_boxes
from xraynet.ingest.catalogue import FilmEntry, read_entry
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.preparation import PreparationConfig, prepare_film
from xraynet.radiograph import Radiograph
from xraynet.simulation.film import SIMULATOR_VERSION, annotate_nodules
from xraynet.simulation.grey import GreyRange, contrast_to_noise, measure_grey_range
from xraynet.simulation.nodule import NoduleConfig, SimulatedNodule, draw_nodule
from xraynet.simulation.place import choose_place, map_places
from xraynet.simulation.shadow import add_nodule

FROZEN_FILE: Final = Path(__file__).resolve().parent / "frozen_nodules.json"
SEED: Final = 2101
DIAMETERS_MM: Final = (10.0, 15.0)
LEAST_CONTRAST_TO_NOISE: Final = 3.0
MOST_HIDDEN: Final = 0.15
_TRIES: Final = 400
_STRONGEST: Final = 0.55
_MEASURED_AT: Final = PreparationConfig(mm_per_pixel=1.0)


@dataclass(frozen=True)
class FrozenNodule:
    """One film and the nodule that is drawn into it: ``nodule`` in stored pixels, ``grey`` the scale of its contrast."""

    film: str
    pixel_hash: str
    nodule: SimulatedNodule
    grey: GreyRange
    hidden: bool
    contrast_to_noise: float


@dataclass(frozen=True, eq=False)
class FrozenPair:
    """A film with its nodule and the same film as it is."""

    entry: FilmEntry
    plain: Radiograph
    drawn: Radiograph
    annotations: NoduleAnnotations


def draw_list(entries: Sequence[FilmEntry], lungs: LungSegmenter, *, seed: int = SEED) -> list[FrozenNodule]:
    """One nodule for every film that has a place where it stands out so far."""
    found = []
    for entry in sorted(entries, key=lambda one: one.pixel_hash):
        film = read_entry(entry)
        rng = np.random.default_rng(np.random.SeedSequence([seed, int(entry.pixel_hash[:16], 16)]))
        mask = lungs.segment(film).mask_stored()
        if film.spacing is None or mask.mean() < 0.02:
            continue
        nodule = _draw(film, mask, rng, name=entry.path.name, pixel_hash=entry.pixel_hash)
        if nodule is not None:
            found.append(nodule)
    return found


def _draw(
    film: Radiograph, mask: NDArray[np.bool_], rng: np.random.Generator, *, name: str, pixel_hash: str
) -> FrozenNodule | None:
    grey, places = measure_grey_range(film.pixels, mask), map_places(mask)
    hidden_wanted = rng.random() < MOST_HIDDEN
    for _ in range(_TRIES):
        diameter = float(rng.uniform(*DIAMETERS_MM))
        centre = choose_place(rng, places, hidden_share=float(hidden_wanted))
        if centre is None:
            return None
        nodule = draw_nodule(rng, centre=centre, config=NoduleConfig(), diameter_mm=diameter)
        nodule = replace(nodule, contrast=min(_STRONGEST, nodule.contrast * float(rng.uniform(1.0, 2.5))))
        contrast = _contrast(film, nodule, grey)
        if contrast is not None and contrast >= LEAST_CONTRAST_TO_NOISE:
            hidden = not mask[int(centre[1]), int(centre[0])]
            return FrozenNodule(
                film=name, pixel_hash=pixel_hash, nodule=nodule, grey=grey, hidden=hidden, contrast_to_noise=round(contrast, 3)
            )
    return None


def _contrast(film: Radiograph, nodule: SimulatedNodule, grey: GreyRange) -> float | None:
    drawn, box = _add(film, nodule, grey)
    prepared = prepare_film(drawn, _MEASURED_AT)
    return contrast_to_noise(prepared.pixels, prepared.letterbox.boxes_to_net(box[None])[0])


def _add(film: Radiograph, nodule: SimulatedNodule, grey: GreyRange) -> tuple[Radiograph, Float32[NDArray[np.float32], " 4"]]:
    assert film.spacing is not None
    pixels = film.pixels.copy()
    box = add_nodule(pixels, nodule, spacing_mm=film.spacing.row_column_mm, grey=grey)
    return film.with_pixels(np.clip(pixels, 0, 1)), clip_boxes(box[None], size=film.size)[0]


def write_list(nodules: Sequence[FrozenNodule], path: Path = FROZEN_FILE, *, seed: int = SEED) -> None:
    """Keep the list, with the simulator's version and the seed."""
    films = [asdict(nodule) for nodule in nodules]
    content = {"simulator_version": SIMULATOR_VERSION, "seed": seed, "films": films}
    lines = ",\n".join(json.dumps(film) for film in films)
    head = json.dumps({name: value for name, value in content.items() if name != "films"})
    path.write_text(f'{head[:-1]}, "films": [\n{lines}\n]}}\n', encoding="utf-8")


def read_list(path: Path = FROZEN_FILE) -> list[FrozenNodule]:
    """The kept list. Raises ValueError where this simulator draws otherwise than the one that made it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["simulator_version"] != SIMULATOR_VERSION:
        raise ValueError(
            f"{path.name} was made by simulator version {content['simulator_version']}; this is {SIMULATOR_VERSION}: "
            "figures of the two cannot be compared; draw a new list beside it"
        )
    return [
        FrozenNodule(
            film=film["film"],
            pixel_hash=film["pixel_hash"],
            nodule=_nodule_of(film["nodule"]),
            grey=GreyRange(**film["grey"]),
            hidden=film["hidden"],
            contrast_to_noise=film["contrast_to_noise"],
        )
        for film in content["films"]
    ]


def _nodule_of(values: dict[str, object]) -> SimulatedNodule:
    return SimulatedNodule(**{name: _as_tuples(value) for name, value in values.items()})  # type: ignore[arg-type]


def _as_tuples(value: object) -> object:
    return tuple(_as_tuples(one) for one in value) if isinstance(value, list) else value


def iterate_pairs(nodules: Sequence[FrozenNodule], entries: Sequence[FilmEntry]) -> Iterator[FrozenPair]:
    """The films of the list, drawn. Raises ValueError where one is not among ``entries``."""
    by_hash = {entry.pixel_hash: entry for entry in entries}
    missing = [frozen.film for frozen in nodules if frozen.pixel_hash not in by_hash]
    if missing:
        raise ValueError(f"{len(missing)} of {len(nodules)} films of the list are not there, {missing[:3]} among them")
    for frozen in nodules:
        entry = by_hash[frozen.pixel_hash]
        plain = read_entry(entry)
        drawn, box = _add(plain, frozen.nodule, frozen.grey)
        assert plain.spacing is not None
        annotations = annotate_nodules(box[None], spacing_mm=plain.spacing.row_column_mm)
        yield FrozenPair(entry=entry, plain=plain, drawn=drawn, annotations=annotations)
