"""The shipped lungs checkpoint on real films (a seeded few) and on phantoms; skips where the films are not."""

import csv
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraynet.lungs.measure import dice_of_masks, measure_gate, show_film
from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
from xraynet.lungs.zones import locate_finding
from xraynet.preparation import PreparationConfig, choose_scales
from xraynet.radiograph import PixelSpacing, Radiograph
from xraynet.simulation.phantom import Phantom, draw_phantom


@pytest.fixture(scope="module")
def shipped() -> LungSegmenter:
    return shipped_lungs()


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return draw_phantom(7)


def read_grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def nih_films(shared_films: Path) -> list[tuple[str, tuple[str, ...], Radiograph]]:
    """Twenty-four NIH films: PA and AP, with pneumonia, effusion or nothing."""
    with (shared_films / "nih/films.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    films = []
    for index in np.random.default_rng(11).permutation(len(rows))[:24]:
        row = rows[int(index)]
        spacing = PixelSpacing(
            row_mm=float(row["original_spacing_y_mm"]) * float(row["original_height"]) / 1024,
            column_mm=float(row["original_spacing_x_mm"]) * float(row["original_width"]) / 1024,
        )
        pixels = read_grey(shared_films / "nih/films" / row["image"])
        films.append((row["image"], ("nih",), Radiograph(pixels=pixels, spacing=spacing)))
    return films


@pytest.mark.films
def test_real_films_pass_and_turned_or_inverted_do_not(
    shipped: LungSegmenter, nih_films: list[tuple[str, tuple[str, ...], Radiograph]]
) -> None:
    counts = measure_gate(shipped, nih_films)["nih"]
    assert counts["as it is"].passed >= 23
    assert counts["mirrored"].passed >= 23
    for way in ("rotated-90", "rotated-180", "rotated-270", "inverted"):
        assert counts[way].passed <= 1, way
        assert counts[way].right_reason >= 22, way
    assert counts["as it is"].warned_of_mirroring <= 1
    assert counts["mirrored"].warned_of_mirroring >= 12


@pytest.mark.films
def test_scale_by_lung_size_agrees_with_scale_by_spacing(
    shipped: LungSegmenter, nih_films: list[tuple[str, tuple[str, ...], Radiograph]]
) -> None:
    ratios = []
    for _, _, film in nih_films:
        assert film.spacing is not None
        by_spacing, _, source = choose_scales(film, PreparationConfig())
        assert source == "spacing"
        # Withhold the unit, not the pixel's proportions: the film is first made isotropic.
        isotropic = film.spacing.row_mm
        width = round(film.size[1] * film.spacing.column_mm / isotropic)
        bare = Radiograph(
            pixels=cv2.resize(film.pixels, (width, film.size[0]), interpolation=cv2.INTER_AREA).astype(np.float32)
        )
        by_lungs, _, source = choose_scales(bare, PreparationConfig(), lung_box=shipped.segment(bare).box)
        assert source == "lungs"
        ratios.append(by_lungs / by_spacing)
    assert 0.9 < float(np.median(ratios)) < 1.12
    assert float(np.std(np.log(ratios))) < 0.25


@pytest.mark.films
def test_lung_fields_of_standing_patients_agree_with_radiologists(shipped: LungSegmenter, shared_films: Path) -> None:
    films = sorted((shared_films / "jsrt_dev/images").glob("*.png"))
    figures, zones = [], Counter[str]()
    with (shared_films / "jsrt_dev/nodules.csv").open(newline="") as stream:
        nodules = {row["id"]: row for row in csv.DictReader(stream)}
    for index in np.random.default_rng(12).permutation(len(films))[:16]:
        path = films[int(index)]
        radiograph = Radiograph(pixels=read_grey(path))
        verdict, fields = shipped.judge(radiograph)
        assert verdict.passed, path.name
        marked = np.isin(cv2.imread(str(shared_films / "jsrt_dev/lung_masks" / path.name), cv2.IMREAD_GRAYSCALE), (150, 200))
        marked = cv2.resize(marked.astype(np.uint8), radiograph.size[::-1], interpolation=cv2.INTER_NEAREST) > 0
        figures.append(dice_of_masks(fields.mask_stored(), marked))
        row = nodules.get(path.stem)
        if row is not None and row["x_2048"] and row["position"][:2] in ("l.", "r."):
            x, y = (float(row[axis]) * radiograph.size[0] / 2048 for axis in ("x_2048", "y_2048"))
            side, _ = locate_finding((x - 2, y - 2, x + 2, y + 2), fields)
            zones["right" if side == {"l.": "left", "r.": "right"}[row["position"][:2]] else "wrong"] += 1
    assert float(np.mean([figure or 0.0 for figure in figures])) > 0.95
    assert zones["wrong"] == 0


def test_a_phantom_passes_and_its_lungs_are_found(shipped: LungSegmenter, phantom: Phantom) -> None:
    verdict, fields = shipped.judge(phantom.radiograph)
    assert verdict.passed
    assert not verdict.warnings
    dice = dice_of_masks(fields.mask_stored(), phantom.lung_mask)
    assert dice is not None
    assert dice > 0.88


@pytest.mark.parametrize("way", ["rotated-90", "rotated-180", "rotated-270", "inverted"])
def test_a_phantom_turned_or_inverted_is_told_so(shipped: LungSegmenter, phantom: Phantom, way: str) -> None:
    verdict, _ = shipped.judge(show_film(phantom.radiograph, way))  # type: ignore[arg-type]
    assert verdict.reasons == (way,)


def test_a_mirrored_phantom_passes(shipped: LungSegmenter, phantom: Phantom) -> None:
    assert shipped.judge(show_film(phantom.radiograph, "mirrored"))[0].passed


@pytest.mark.parametrize("side_px", [224, 512])
def test_a_phantom_of_any_size_passes(shipped: LungSegmenter, phantom: Phantom, side_px: int) -> None:
    small = cv2.resize(phantom.radiograph.pixels, (side_px, side_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    assert shipped.judge(Radiograph(pixels=small))[0].passed


def test_pictures_of_other_things_do_not_pass(shipped: LungSegmenter) -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:256, :256].astype(np.float32) / 255
    pictures = {
        "one value": np.full((256, 256), 0.4, np.float32),
        "noise": rng.random((256, 256), dtype=np.float32),
        "a gradient": y,
        "checks": ((y * 8).astype(int) + (x * 8).astype(int)) % 2,
        "a rod": np.exp(-(((x - 0.5) / 0.08) ** 2)),
    }
    for name, pixels in pictures.items():
        assert not shipped.judge(Radiograph(pixels=np.asarray(pixels, dtype=np.float32)))[0].passed, name
