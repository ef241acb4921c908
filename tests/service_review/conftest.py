from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgi_browser import AsgiBrowser
from review_folders import make_reading, write_folder

from xraynet.service.review.desk import ReviewDesk
from xraynet.service.review.door import Address, Door
from xraynet.service.review.films import FilmFolder
from xraynet.service.review.guard import Guard
from xraynet.service.review.routes import ReviewSite
from xraynet.service.review.store import ReviewStore

OpenBrowser = Callable[..., AsgiBrowser]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three films: two analysed, the more suspicious one last by name, and one that the gate refused."""
    readings = [
        make_reading(1, scores=(0.5, 0.2), path="a.dcm"),
        make_reading(2, scores=(0.9,), path="b.dcm"),
        make_reading(3, scores=(), path="c.dcm"),
    ]
    return write_folder(tmp_path / "results", readings)


@pytest.fixture
def open_site(results: Path) -> Iterator[Callable[..., ReviewSite]]:
    opened: list[ReviewStore] = []

    def build(*, mode: str = "plain", root: Path = results, name: str = "review.sqlite") -> ReviewSite:
        store = ReviewStore(root / name)
        opened.append(store)
        door = Door(Address.direct("127.0.0.1", 8765, has_certificate=False), cookie_name="xraynet-review-8765")
        return ReviewSite(
            ReviewDesk(FilmFolder(root), store, mode="second-reader" if mode == "second-reader" else "plain"), door
        )

    yield build
    for store in opened:
        store.close()


@pytest.fixture
def enter(open_site: Callable[..., ReviewSite]) -> Callable[..., AsgiBrowser]:
    """Opens a site, or further browsers of it, and comes in."""

    def come_in(reader: str | None = "Ada", *, mode: str = "plain", site: ReviewSite | None = None) -> AsgiBrowser:
        site = site or open_site(mode=mode)
        return AsgiBrowser(Guard(site.build_app(), door=site.door), site.door.token).enter(reader)

    return come_in
