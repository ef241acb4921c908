import io
from dataclasses import replace

import numpy as np
from PIL import Image

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.radiograph import ViewPosition
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.overlay import BOX_COLOUR, blend_heatmap, draw_overlay, render_heatmap, render_overlay, render_thumbnail

SCALE = ColourScale.of_threshold(0.3)
READING = Reading(
    source=FilmSource(path="a.dcm", sha256="0" * 64),
    status="ok",
    image=FilmFacts(height=200, width=200, spacing_mm=(1, 1), spacing_plane="detector", view_position=ViewPosition.PA),
    gate=GateVerdict(passed=True),
    film_score=0.8,
    detections=(
        Finding(box=(80, 90, 100, 110), score=0.8, reported=True),
        Finding(box=(20, 30, 40, 50), score=0.1, reported=False),
    ),
    warnings=(),
    checkpoint=CheckpointIdentity(name="n", fingerprint="f", version="v"),
    operating_threshold=0.3,
)
FRAME = DisplayFrame.of((200, 200), least=400)


def read_png(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_a_map_without_evidence_is_wholly_transparent() -> None:
    image = read_png(render_heatmap(np.full((50, 40), 0.1, dtype=np.float32), SCALE))
    assert image.mode == "RGBA"
    assert image.size == (40, 50)
    assert not np.asarray(image).any()


def test_the_heatmap_is_not_stretched_to_the_films_own_maximum() -> None:
    faint, strong = np.zeros((2, 20, 20), dtype=np.float32)
    faint[10, 10], strong[10, 10], strong[5, 5] = 0.31, 0.31, 0.99
    first, second = (np.asarray(read_png(render_heatmap(one, SCALE))) for one in (faint, strong))
    assert first[10, 10].tolist() == second[10, 10].tolist()


def test_pictures_say_what_they_are_not_for() -> None:
    heat = np.zeros((20, 20), dtype=np.float32)
    assert "not for diagnosis" in read_png(render_heatmap(heat, SCALE)).info["Description"]


def test_the_film_is_untouched_where_there_is_no_evidence() -> None:
    shown = np.full((20, 20), 0.5, dtype=np.float32)
    heat = np.zeros((20, 20), dtype=np.float32)
    heat[3, 4] = 0.9
    picture = blend_heatmap(shown, heat, SCALE)
    assert picture[3, 4].tolist() != [128, 128, 128]
    picture[3, 4] = 128
    assert (picture == 128).all()
    assert (blend_heatmap(shown, None, SCALE) == 128).all()


def has_box_line(picture: np.ndarray, row: int, columns: slice) -> bool:
    return bool((np.abs(picture[row, columns].astype(int) - BOX_COLOUR).max(axis=-1) < 40).any())


def test_only_reported_findings_are_boxed() -> None:
    shown = np.zeros(FRAME.size, dtype=np.float32)
    picture = np.asarray(draw_overlay(shown, None, reading=READING, frame=FRAME, scale=SCALE))
    assert picture.shape == (400, 400, 3)
    assert has_box_line(picture, 200, slice(150, 162))
    assert not has_box_line(picture, 80, slice(30, 100))


def test_a_film_that_was_not_analysed_says_so_in_the_picture() -> None:
    shown = np.zeros(FRAME.size, dtype=np.float32)
    withheld = replace(READING, film_score=None, detections=(), gate=GateVerdict(False, ("blank",)), status="refused")
    usual = replace(READING, detections=())
    pictures = [np.asarray(draw_overlay(shown, None, reading=one, frame=FRAME, scale=SCALE)) for one in (withheld, usual)]
    assert not (pictures[0] == pictures[1]).all()


def test_overlay_and_thumbnail_are_images_of_the_same_shape() -> None:
    drawn = draw_overlay(np.zeros(FRAME.size, dtype=np.float32), None, reading=READING, frame=FRAME, scale=SCALE)
    assert read_png(render_overlay(drawn)).size == (400, 400)
    small = read_png(render_thumbnail(drawn))
    assert small.size == (112, 112)
    assert small.format == "JPEG"
