"""Pages of visits over a folder of results: films of one study together, earlier films of the same patient beside them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import spots
from dicom_files import write_dicom

from xraynet.batch.decode import DecodedFilm, DecodeRequest, DecodeWorker, decode_film
from xraynet.batch.folder import predict_folder
from xraynet.batch.options import FolderOptions, Output
from xraynet.batch.visit_record import VisitOptions
from xraynet.errors import CatalogueError
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.read import read_radiograph
from xraynet.ingest.salt import read_or_make_salt
from xraynet.reporting.visit_file import read_visit_schema

SEEDED = ("Seededson", "SEEDID99", "19511213", "20240110", "20250203")
LOWER_LEFT, UPPER_RIGHT, MID_RIGHT = (230, 290), (90, 120), (90, 200)
Write = Callable[..., str]


class InlineWorker(DecodeWorker):
    """Decodes in the process that asks: these tests are about visits, not about codecs."""

    def __init__(self, *, limit_s: float = 60.0) -> None:
        self._limit_s = limit_s
        self._asked: list[DecodeRequest] = []

    def __exit__(self, *_: object) -> None:
        self._asked.clear()

    def ask(self, request: DecodeRequest) -> int:
        self._asked.append(request)
        return len(self._asked) - 1

    def take_decoded(self, ticket: int) -> DecodedFilm:
        return DecodedFilm(decode_film(self._asked[ticket]))


@pytest.fixture(autouse=True)
def _inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xraynet.batch.visits.DecodeWorker", InlineWorker)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a film with spots; returns its id."""

    def write_film(name: str, *places: tuple[int, int], day: str, study: str, seed: int = 0, **tags: object) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "PatientID": "SEEDID99", "PatientName": "Seededson^Janetta", "PatientBirthDate": "19511213", "StudyDate": day,
            "StudyInstanceUID": study, "ViewPosition": "PA", "ImagerPixelSpacing": [0.8, 0.8], "BitsStored": 12,
        }  # fmt: skip
        write_dicom(path, spots.spot_film(*places, seed=seed), **{**told, **tags})
        return read_radiograph(path).id

    return write_film


@pytest.fixture
def salt(tmp_path: Path) -> bytes:
    return read_or_make_salt(tmp_path / "salt")


def run(tmp_path: Path, visits: VisitOptions | None, *outputs: Output, **options: object) -> Path:
    out = tmp_path / "out"
    chosen = FolderOptions(outputs=frozenset({"index", *outputs}), visits=visits, **options)
    # Flat parts of a film score about 0.03 with the spot detector: well below a tenth of this operating point.
    predictor = spots.make_predictor(operating_point=replace(spots.OPERATING_POINT, threshold=0.6))
    predict_folder([tmp_path / "now"], predictor=predictor, out=out, options=chosen, worker=InlineWorker())
    return out


def visits_of(out: Path) -> list[dict]:
    found = [json.loads(path.read_text()) for path in sorted((out / "visits").glob("*.json"))]
    for visit in found:
        jsonschema.validate(visit, read_visit_schema())
    return found


def page_of(out: Path, visit: dict) -> str:
    return (out / "visits" / f"{visit['key'][:16]}.html").read_text()


def ingest(tmp_path: Path, *, salt_name: str = "salt", labels: str = "") -> Path:
    table = tmp_path / "labels.csv"
    table.write_text("film,x1,y1,x2,y2,class,reader,diameter_mm\n" + labels)
    config = IngestConfig(labels=(table,), formats=(LabelFormat.CSV,), num_workers=0)
    build_catalogue([tmp_path / "old"], out=tmp_path / "catalogue", salt_file=tmp_path / salt_name, config=config)
    return tmp_path / "catalogue"


def test_films_of_one_study_make_one_visit_and_lead_to_its_page(write: Write, salt: bytes, tmp_path: Path) -> None:
    frontal = write("now/a.dcm", UPPER_RIGHT, day="20250203", study="1.2")
    lateral = write("now/b.dcm", day="20250203", study="1.2", seed=3, ViewPosition="LL")
    other = write("now/c.dcm", day="20250203", study="1.3", seed=4, PatientID="another")
    out = run(tmp_path, VisitOptions(salt), "report")
    two, one = sorted(visits_of(out), key=lambda visit: -len(visit["films"]))
    assert [film["reading"] for film in two["films"]] == [frontal, lateral]
    assert [film["reading"] for film in one["films"]] == [other]
    assert two["why_no_priors"] == "none-known"
    name = f"visits/{two['key'][:16]}.html"
    assert f'href="{name}"' in (out / "index.html").read_text()
    assert f'href="../../{name}"' in (out / "readings" / frontal / "report.html").read_text()
    page = page_of(out, two)
    assert "Visit with 2 films" in page
    assert "No earlier film of this patient is known." in page
    assert f'href="../readings/{frontal}/report.html"' in page
    assert "Not analysed: it is a lateral" in page


def test_an_earlier_film_of_the_run_is_compared(write: Write, salt: bytes, tmp_path: Path) -> None:
    then = write("now/then.dcm", UPPER_RIGHT, LOWER_LEFT, day="20240110", study="1.1")
    now = write("now/now.dcm", (92, 123), MID_RIGHT, day="20250203", study="1.2")
    out = run(tmp_path, VisitOptions(salt))
    present = next(visit for visit in visits_of(out) if visit["films"][0]["reading"] == now)
    (compared,) = present["films"][0]["compared_with"]
    assert (compared["reading"], compared["days_earlier"]) == (then, 390)
    assert sorted(one["change"] for one in compared["findings"]) == ["new", "not-seen-now", "unchanged"]
    page = re.sub(r"\s+", " ", page_of(out, present))
    for text in ("13 months earlier", "Not marked then: new.", "No longer marked.", "Unchanged within", "and 1 earlier visit"):
        assert text in page, text
    assert "visit, with 1 earlier visit" in (out / "index.html").read_text()
    earlier = next(visit for visit in visits_of(out) if visit["films"][0]["reading"] == then)
    assert earlier["earlier_visits"] == []


def test_earlier_films_come_from_the_catalogue_with_what_readers_marked(write: Write, salt: bytes, tmp_path: Path) -> None:
    then = write("old/then.dcm", UPPER_RIGHT, day="20240110", study="1.1")
    write("old/before.dcm", UPPER_RIGHT, day="20220110", study="1.0", seed=5)
    write("old/later.dcm", UPPER_RIGHT, day="20260110", study="1.9", seed=6)
    write("old/stranger.dcm", UPPER_RIGHT, day="20240110", study="1.8", seed=7, PatientID="another")
    catalogue = ingest(tmp_path, labels="then.dcm,80,110,100,130,nodule,R1,15.5\n")
    now = write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    out = run(tmp_path, VisitOptions(salt, catalogue))
    (visit,) = visits_of(out)
    assert [(one["days_earlier"], one["from_catalogue"]) for one in visit["earlier_visits"]] == [(390, True), (1120, True)]
    assert visit["earlier_visits"][0]["readings"] == [then]
    first = visit["films"][0]["compared_with"][0]
    assert first["marked_by_readers_then"] == [{"detection": 0, "annotation": 0}]
    page = page_of(out, visit)
    for text in (
        "Marked by a reader: nodule, right upper zone, 16 mm",
        "A reader marked this place then: 16 mm.",
        "From the catalogue",
    ):
        assert text in page, text
    assert page.count("data:image/jpeg") == 3
    assert (out / "readings" / now).is_dir()
    assert len(list((out / "priors").iterdir())) == 2
    reading = json.loads((out / "priors" / then / "reading.json").read_text())
    assert reading["source"]["path"] is None


def test_no_identity_and_no_date_is_anywhere_unless_asked_for(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("old/then.dcm", UPPER_RIGHT, day="20240110", study="1.1")
    catalogue = ingest(tmp_path)
    write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2.840.77", seed=1)
    out = run(tmp_path, VisitOptions(salt, catalogue))
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    for part in (*SEEDED, "1.2.840.77", "2024-01-10", salt.hex()):
        assert part.encode() not in everything, part
    named = page_of(run(tmp_path, VisitOptions(salt, catalogue), identify=True), visits_of(out)[0])
    for text in ("Seededson, Janetta", "SEEDID99", "2025-02-03", "13 months earlier (2024-01-10)"):
        assert text in named, text


def test_without_a_date_no_film_is_earlier(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("now/then.dcm", UPPER_RIGHT, day="", study="1.1")
    now = write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    by_film = {visit["films"][0]["reading"]: visit for visit in visits_of(run(tmp_path, VisitOptions(salt)))}
    assert by_film.pop(now)["why_no_priors"] == "none-known"
    (undated,) = by_film.values()
    assert undated["why_no_priors"] == "no-date"


def test_two_visits_of_one_day_and_films_of_nobody_have_no_order(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("now/a.dcm", UPPER_RIGHT, day="20250203", study="1.1")
    write("now/b.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    write("now/c.dcm", UPPER_RIGHT, day="20240203", study="1.3", seed=2, PatientID="")
    found = {visit["why_no_priors"] for visit in visits_of(run(tmp_path, VisitOptions(salt)))}
    assert found == {"none-known", "no-patient"}


def test_a_film_that_names_no_study_belongs_to_no_visit(write: Write, salt: bytes, tmp_path: Path) -> None:
    film = write("now/a.dcm", UPPER_RIGHT, day="", study="")
    out = run(tmp_path, VisitOptions(salt), "report")
    assert visits_of(out) == []
    assert "visits/" not in (out / "readings" / film / "report.html").read_text()


def test_planes_that_differ_give_no_growth(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("now/then.dcm", UPPER_RIGHT, day="20240110", study="1.1", ImagerPixelSpacing=None)
    now = write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    out = run(tmp_path, VisitOptions(salt))
    visit = next(visit for visit in visits_of(out) if visit["films"][0]["reading"] == now)
    (finding,) = visit["films"][0]["compared_with"][0]["findings"]
    assert (finding["change"], finding["why_not_sized"]) == ("size-not-compared", "no-millimetres")
    assert "Sizes not compared: a film has no millimetre scale." in page_of(out, visit)


def test_a_mirrored_film_is_turned_for_the_comparison_and_said_so(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("now/then.dcm", UPPER_RIGHT, day="20240110", study="1.1", PatientOrientation=["L", "F"])
    now = write("now/now.dcm", (230, 120), day="20250203", study="1.2", seed=1, PatientOrientation=["R", "F"])
    out = run(tmp_path, VisitOptions(salt))
    visit = next(visit for visit in visits_of(out) if visit["films"][0]["reading"] == now)
    (compared,) = visit["films"][0]["compared_with"]
    assert compared["turned"]
    assert [one["change"] for one in compared["findings"]] == ["unchanged"]
    assert "check the side marker" in page_of(out, visit)


def test_a_catalogued_film_that_is_gone_is_counted_and_not_shown(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("old/then.dcm", UPPER_RIGHT, day="20240110", study="1.1")
    write("old/before.dcm", UPPER_RIGHT, day="20230110", study="1.0", seed=3)
    catalogue = ingest(tmp_path)
    (tmp_path / "old" / "then.dcm").unlink()
    write("old/before.dcm", UPPER_RIGHT, day="20230110", study="1.0", seed=4)
    write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    out = run(tmp_path, VisitOptions(salt, catalogue))
    (visit,) = visits_of(out)
    assert [(one["readings"], one["num_not_read"]) for one in visit["earlier_visits"]] == [([], 1), ([], 1)]
    assert "2 earlier films could not be read and are not shown." in page_of(out, visit)


def test_only_so_many_earlier_visits_are_shown(write: Write, salt: bytes, tmp_path: Path) -> None:
    for year in range(2015, 2022):
        write(f"now/{year}.dcm", UPPER_RIGHT, day=f"{year}0101", study=f"1.{year}", seed=year)
    found = visits_of(run(tmp_path, VisitOptions(salt, most_priors=2)))
    assert max(len(visit["earlier_visits"]) for visit in found) == 2


def test_a_run_that_goes_on_reads_no_earlier_film_again(write: Write, salt: bytes, tmp_path: Path) -> None:
    then = write("old/then.dcm", UPPER_RIGHT, day="20240110", study="1.1")
    catalogue = ingest(tmp_path)
    write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2", seed=1)
    out = run(tmp_path, VisitOptions(salt, catalogue))
    kept = out / "priors" / then / "reading.json"
    before = kept.stat().st_mtime_ns
    (out / "visits" / ("0" * 16 + ".html")).write_text("stale")
    run(tmp_path, VisitOptions(salt, catalogue))
    assert kept.stat().st_mtime_ns == before
    assert not (out / "visits" / ("0" * 16 + ".html")).exists()
    assert len(visits_of(out)) == 1
    run(tmp_path, None)
    assert not kept.exists()
    assert visits_of(out) == []


def test_a_catalogue_of_another_salt_is_refused(write: Write, salt: bytes, tmp_path: Path) -> None:
    write("old/then.dcm", UPPER_RIGHT, day="20240110", study="1.1")
    catalogue = ingest(tmp_path, salt_name="other")
    write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2")
    with pytest.raises(CatalogueError, match="no patient of it can be recognised"):
        run(tmp_path, VisitOptions(salt, catalogue))


def test_keys_of_another_salt_beside_a_reading_are_not_believed(write: Write, salt: bytes, tmp_path: Path) -> None:
    film = write("now/now.dcm", UPPER_RIGHT, day="20250203", study="1.2")
    out = run(tmp_path, VisitOptions(salt))
    path = out / "readings" / film / "visit.json"
    for content in (json.dumps({**json.loads(path.read_text()), "salt_fingerprint": "0" * 16}), "{", "[]", '{"day": 3}'):
        path.write_text(content)
        assert visits_of(run(tmp_path, VisitOptions(salt))) == []


def test_the_salt_is_not_shown_and_at_least_one_visit_is_wanted(salt: bytes) -> None:
    assert salt.hex() not in repr(VisitOptions(salt))
    assert str(salt) not in repr(VisitOptions(salt))
    with pytest.raises(ValueError, match="at least 1"):
        replace(VisitOptions(salt), most_priors=0)
