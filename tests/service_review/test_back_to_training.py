from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from asgi_browser import AsgiBrowser
from review_folders import make_reading, write_folder

from xraynet.files import sha256_of_file
from xraynet.findings import LabelState
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.service.review.routes import ReviewSite

DRAWN = [10.3331, 20.4449, 40.7123, 60.0001]


def test_a_box_drawn_on_the_page_comes_back_from_ingest_at_the_same_stored_pixels(
    tmp_path: Path, open_site: Callable[..., ReviewSite], enter: Callable[..., AsgiBrowser]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (120, 100), dtype=np.uint8)
        assert cv2.imwrite(str(films / f"{number}.png"), pixels)
    readings = [make_reading(sha256=sha256_of_file(path), path=path.name) for path in sorted(films.iterdir())]
    out = write_folder(tmp_path / "out", readings)
    browser = enter("Dr. Ada", site=open_site(root=out))
    shown = browser.act(readings[0].id, "add", mark="m", box=DRAWN).json()["reading"]["marks"][0]["box"]
    browser.act(readings[0].id, "move", detection="d1", box=[0, 0, 100, 120])
    browser.act(readings[0].id, "verdict", verdict="findings")
    browser.act(readings[1].id, "verdict", verdict="normal")
    config = IngestConfig(labels=(out / "review.sqlite",), formats=(LabelFormat.REVIEW,), num_workers=0)
    catalogue, _ = build_catalogue([films], out=tmp_path / "catalogue", salt_file=tmp_path / "salt", config=config)
    entries = {entry.path.name: entry for entry in catalogue.entries()}
    assert entries["0.png"].annotations.boxes.tolist() == [shown, [0, 0, 100, 120]]
    np.testing.assert_allclose(shown, DRAWN, atol=1 / 128)
    assert entries["1.png"].annotations.state is LabelState.FREE
