import base64
import zlib
from pathlib import Path

import numpy as np
import pytest
from review_folders import FACTS, draw_pixels, make_reading, write_film

from xraynet.errors import PredictionsError
from xraynet.reporting.packing import unpack_levels
from xraynet.reporting.report_file import read_reported_film


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "readings" / write_film(tmp_path, make_reading(spacing_mm=None)) / "report.html"


def test_a_film_comes_back_from_its_report(report: Path) -> None:
    film = read_reported_film(report)
    assert film.size == (120, 100)
    levels = unpack_levels(base64.b64encode(film.levels).decode(), size=film.size)
    pixels = draw_pixels(int(report.parent.name[:4], 16))
    shown = levels.astype(np.float64) * float(str(film.facts["slope"])) + float(str(film.facts["intercept"]))
    np.testing.assert_allclose(shown / 4095, pixels, atol=1 / 4000)
    assert film.table == b""
    assert film.heatmap is not None
    assert film.heatmap.startswith(b"\x89PNG")
    assert film.operating == FACTS


def test_a_report_of_the_first_release_is_read_without_the_facts_of_its_model(report: Path) -> None:
    report.write_text(report.read_text().replace('id="model-facts"', 'id="other"'))
    film = read_reported_film(report)
    assert film.operating is None
    assert zlib.decompress(film.levels)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<html></html>", "is no report of a film"),
        ('<canvas id="film" width="10" height="10">', "its film cannot be read"),
        ('<canvas id="film" width="10" height="10"><script id="film-facts">[]</script>', "an object was expected"),
    ],
)
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(content)
    with pytest.raises(PredictionsError, match=said) as refusal:
        read_reported_film(path)
    assert "report.html" in str(refusal.value)


def test_a_report_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_reported_film(tmp_path / "report.html")
