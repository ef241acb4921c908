"""What an archive may do wrong, shown with one that does it on demand."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import spots
from dicom_files import write_dicom
from fake_archive import DX, Answer, FakeArchive, Fault, Held, envelope, multipart_type
from node_peers import make_certificates
from pydicom.uid import ComputedRadiographyImageStorage

from xraynet.errors import ArchiveError, FilmFailed, FilmRefused
from xraynet.service.dicomweb import Archive, ArchivedFilm
from xraynet.service.dicomweb_address import parse_address
from xraynet.service.dicomweb_session import Access, AnswerTooLarge, AnswerTooSlow, DicomwebLimits, open_session

STUDY, SERIES = "1.2.826.0.1.3680043.10.77.20250203", "1.2.826.0.1.3680043.10.77.1"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
QUICK = DicomwebLimits(pause_s=0.01, silence_s=0.5, answer_s=5.0)


def make_film(path: Path, number: int) -> Held:
    sop = f"{SERIES}.{number}"
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": sop}
    content = write_dicom(path, spots.spot_film((90, 120), seed=number), **uids).read_bytes()
    tags = {"PatientID": "SEEDID99", "StudyDate": "20250203", "AccessionNumber": "SEEDACC7"}
    return Held(STUDY, SERIES, sop, content, sop_class="1.2.840.10008.5.1.4.1.1.1.1", tags=tags)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Held]:
    folder = tmp_path_factory.mktemp("films")
    return [make_film(folder / f"{number}.dcm", number) for number in (1, 2, 3)]


@pytest.fixture
def fake(films: list[Held]) -> Iterator[FakeArchive]:
    with FakeArchive(list(films)).serve() as served:
        yield served


def connect(
    fake: FakeArchive, query: str = f"StudyInstanceUID={STUDY}", *, limits: DicomwebLimits = QUICK, authorization: str = ""
) -> Archive:
    return Archive(parse_address(f"dicomweb:{fake.url}?{query}"), access=Access(authorization=authorization), limits=limits)


def fail(fake: FakeArchive, fault: Fault) -> None:
    fake.fault = fault


def instance_fault(answer: Answer, *, times: int = 1000) -> Fault:
    """This answer, so many times, to whoever fetches an instance."""
    return lambda path, before: answer if "/instances/" in path and before < times else None


def test_films_of_a_study_are_found_once_and_fetched_as_they_are(fake: FakeArchive, films: list[Held], tmp_path: Path) -> None:
    with connect(fake) as archive:
        found = archive.search()
        assert [film.sop_uid for film in found] == [film.sop for film in films]
        archive.fetch(found[1], tmp_path / "film.dcm")
    assert (tmp_path / "film.dcm").read_bytes() == films[1].content
    assert [path.name for path in tmp_path.iterdir()] == ["film.dcm"]


@pytest.mark.parametrize(
    ("query", "num"),
    [
        ("PatientID=SEEDID99", 3),
        ("PatientID=OTHER", 0),
        ("AccessionNumber=SEEDACC7&ModalitiesInStudy=CR,DX", 3),
        ("StudyDate=20250203&ModalitiesInStudy=CR", 0),
        (f"StudyInstanceUID={STUDY}&PatientID=SEEDID99&Modality=DX", 3),
        (f"StudyInstanceUID={STUDY}&Modality=CR", 0),
        (f"SeriesInstanceUID={SERIES}", 3),
        (f"SOPInstanceUID={SERIES}.2", 1),
        (f"StudyInstanceUID={STUDY}&SeriesInstanceUID={SERIES}&SOPInstanceUID={SERIES}.3", 1),
    ],
)
def test_every_term_narrows_the_search(fake: FakeArchive, query: str, num: int) -> None:
    with connect(fake, query) as archive:
        assert len(archive.search()) == num


def test_what_is_no_radiograph_is_refused_without_fetching(fake: FakeArchive, tmp_path: Path) -> None:
    fake.held = [
        Held(STUDY, f"{SERIES}.5", "1.2.1", sop_class=SR_CLASS, modality="SR"),
        Held(STUDY, f"{SERIES}.6", "1.2.2", sop_class=DX, modality="DX"),
        Held(STUDY, f"{SERIES}.7", "1.2.3", sop_class="1.2.840.10008.5.1.4.1.1.2", modality="CT"),
        Held(STUDY, f"{SERIES}.8", "1.2.4", sop_class=str(ComputedRadiographyImageStorage), modality="CR"),
        Held(STUDY, f"{SERIES}.9", "1.2.5", sop_class="", modality=""),
    ]
    with connect(fake) as archive:
        found = archive.search()
        codes = [film.problem.code if film.problem else "" for film in found]
        assert codes == ["not-a-radiograph", "", "not-a-radiograph", "", ""]
        with pytest.raises(FilmRefused, match="modality SR, class Comprehensive SR Storage; CR, DX or RG was expected"):
            archive.fetch(found[0], tmp_path / "film.dcm")
    assert not [path for path in fake.requests if "/instances/" in path]


def test_pages_are_asked_for_until_nothing_new_comes(fake: FakeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xraynet.service.dicomweb._PAGE", 2)
    with connect(fake) as archive:
        assert len(archive.search()) == 3
    fake.ignores_offset = True
    with connect(fake) as archive:
        assert len(archive.search()) == 2
    assert len(fake.requests) < 20


def test_a_search_that_finds_too_much_is_an_error(fake: FakeArchive) -> None:
    with (
        connect(fake, limits=DicomwebLimits(max_films=2)) as archive,
        pytest.raises(ArchiveError, match="finds more than 2 instances; narrow it"),
    ):
        archive.search()


@pytest.mark.parametrize("sop", ["../../../../etc/passwd", "1.2/../3", "<img src=x>", "1" * 65, "1.2\r\nX: y", ""])
def test_an_object_named_by_no_uid_is_never_asked_for(fake: FakeArchive, films: list[Held], tmp_path: Path, sop: str) -> None:
    fake.held = [films[0], Held(STUDY, SERIES, sop)]
    with connect(fake) as archive:
        good, bad = archive.search()
        assert good.problem is None
        assert not bad.has_uids
        assert bad.name.startswith("dicomweb:")
        assert bad.name[9:].isalnum()
        with pytest.raises(FilmFailed, match="no UID; it was not asked for"):
            archive.fetch(bad, tmp_path / "film.dcm")
    assert not [path for path in fake.requests if "/instances/" in path]


@pytest.mark.parametrize(("study", "series"), [("../..", SERIES), (STUDY, "../..")])
def test_studies_and_series_named_by_no_uid_are_not_looked_into(
    fake: FakeArchive, films: list[Held], study: str, series: str
) -> None:
    fake.held = [Held(study, series, films[0].sop, tags={"PatientID": "P"})]
    with connect(fake, "PatientID=P") as archive:
        (film,) = archive.search()
    assert film.problem is not None
    assert film.problem.code == "not-fetched"
    assert not [path for path in fake.requests if ".." in path]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[3, null, []]", b'[{"00080018": 3}]', b"{}", b'[{"0020000E": {"Value": [{"a": 1}]}}]'], ids=str
)
def test_odd_answers_to_a_search_find_nothing_that_could_be_fetched(fake: FakeArchive, body: bytes) -> None:
    fail(fake, lambda _path, _before: Answer(body=body))
    with connect(fake) as archive:
        assert all(film.problem is not None for film in archive.search())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401), r"answers 401: these credentials do not suffice \(XRAYNET_DICOMWEB_CREDENTIALS"),
        (Answer(status=403), "answers 403: these credentials"),
        (Answer(status=404), "answers 404: there is nothing at that address"),
        (Answer(status=503), r"answers 503 \(Service Unavailable\)"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), "points to another address"),
        (Answer(body=b"<html>log in</html>", content_type="text/html"), "no DICOM JSON"),
        (Answer(body=b'"text"'), "is no list"),
        (Answer(body=b"[" * 1900), "no DICOM JSON|cannot be understood"),
        (Answer(body=b"[" + b" " * 3000 + b"]"), "more than 2000 bytes"),
        (Answer(body=b"[]" + b" " * 60, pause_s=0.2), "took more than 1 s"),
        (Answer(body=b"[]", headers={"Content-Length": "5000"}, cut=2), "cannot be reached, or broke the connection off"),
    ],
)
def test_an_archive_that_cannot_be_searched_is_told_without_the_search(fake: FakeArchive, answer: Answer, words: str) -> None:
    fail(fake, lambda _path, _before: answer)
    limits = DicomwebLimits(pause_s=0.0, attempts=2, max_answer_bytes=2000, answer_s=1.0, silence_s=1.0)
    with (
        connect(fake, "PatientID=SEEDID99", limits=limits, authorization="Bearer SEEDTOKEN") as archive,
        pytest.raises(ArchiveError, match=words) as caught,
    ):
        archive.search()
    assert str(caught.value).startswith(f"{fake.url}: the archive cannot be searched")
    assert "SEED" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer(body=b"[" + b" " * 3000 + b"]"), AnswerTooLarge), (Answer(body=b"[]" + b" " * 60, pause_s=0.2), AnswerTooSlow)],
    ids=["too large", "too slow"],
)
def test_an_answer_that_is_given_up_leaves_no_connection_open(
    fake: FakeArchive, answer: Answer, error: type[Exception]
) -> None:
    fail(fake, lambda _path, _before: answer)
    limits = DicomwebLimits(max_film_bytes=2000, answer_s=1.0)
    with open_session(
        parse_address(f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}"), access=Access(), limits=limits
    ) as session:
        response = session.get(f"{fake.url}/studies", stream=True)
        body = response.raw._body
        with pytest.raises(error):
            while response.raw.read(64):
                pass
        assert body.closed


def test_nobody_at_home_is_told(fake: FakeArchive) -> None:
    address = parse_address(f"dicomweb:http://127.0.0.1:9/rs?StudyInstanceUID={STUDY}")
    with (
        Archive(address, access=Access(), limits=QUICK) as archive,
        pytest.raises(ArchiveError, match="cannot be reached") as caught,
    ):
        archive.search()
    assert STUDY not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_growing_pauses(fake: FakeArchive, tmp_path: Path, status: int) -> None:
    pauses: list[float] = []
    fail(fake, instance_fault(Answer(status=status), times=3))
    address = parse_address(f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}")
    with Archive(address, access=Access(), limits=DicomwebLimits(pause_s=1.0), sleep=pauses.append) as archive:
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert pauses == [1.0, 2.0, 4.0]
    assert (tmp_path / "film.dcm").is_file()


def test_an_archive_may_ask_for_a_longer_pause_but_not_for_ever(fake: FakeArchive, tmp_path: Path) -> None:
    pauses: list[float] = []
    waits = ["7", "99999", "soon"]
    busy = [Answer(status=503, headers={"Retry-After": wait}) for wait in waits]
    fail(fake, lambda path, before: busy[before] if "/instances/" in path and before < len(busy) else None)
    address = parse_address(f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}")
    with Archive(address, access=Access(), limits=DicomwebLimits(pause_s=1.0), sleep=pauses.append) as archive:
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert pauses == [7.0, 60.0, 4.0]


@pytest.mark.parametrize(
    ("answer", "code", "words", "asked"),
    [
        (Answer(status=404), "not-fetched", "answers 404", 1),
        (Answer(status=410), "not-fetched", "answers 410", 1),
        (Answer(status=500), "not-fetched", r"answers 500 \(Internal Server Error\)", 2),
        (Answer(body=b"nothing", content_type="text/plain"), "not-fetched", "no multipart/related", 2),
        (Answer(body=envelope(b"a", b"b"), content_type=multipart_type()), "not-fetched", "more than one part", 2),
        (Answer(body=envelope(b"a" * 900)[:-5], content_type=multipart_type()), "not-fetched", "closing delimiter", 2),
        (
            Answer(body=envelope(b"a" * 900), content_type=multipart_type(), headers={"Content-Length": "2000"}, cut=500),
            "not-fetched",
            "broke the connection off|closing delimiter",
            2,
        ),
        (Answer(body=envelope(b"a" * 9000), content_type=multipart_type()), "too-large", "more than 5000 bytes", 1),
        (Answer(body=b"a" * 99, content_type="application/dicom", pause_s=0.2), "not-fetched", "took more than 1 s", 1),
        (Answer(status=301, headers={"Location": "http://127.0.0.1:9/"}), "not-fetched", "points to another address", 1),
    ],
)
def test_a_film_that_cannot_be_had_fails_alone_and_leaves_nothing(
    fake: FakeArchive, tmp_path: Path, answer: Answer, code: str, words: str, asked: int
) -> None:
    limits = DicomwebLimits(pause_s=0.0, attempts=2, max_film_bytes=5000, answer_s=1.0, silence_s=1.0)
    fail(fake, instance_fault(answer))
    with connect(fake, limits=limits) as archive, pytest.raises(FilmFailed, match=words) as caught:
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert caught.value.code == code
    assert STUDY not in caught.value.reason
    assert len([path for path in fake.requests if "/instances/" in path]) == asked
    assert list(tmp_path.iterdir()) == []


def test_silence_ends(fake: FakeArchive, tmp_path: Path) -> None:
    limits = DicomwebLimits(pause_s=0.0, attempts=1, silence_s=0.3, answer_s=60.0)
    fail(fake, instance_fault(Answer(body=b"a" * 9, content_type="application/dicom", pause_s=2.0)))
    with connect(fake, limits=limits) as archive, pytest.raises(FilmFailed, match=r"in time|broke the connection off"):
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")


def test_another_film_than_the_one_that_was_asked_for_does_not_pass(
    fake: FakeArchive, films: list[Held], tmp_path: Path
) -> None:
    fail(fake, instance_fault(Answer(body=envelope(films[1].content), content_type=multipart_type())))
    with connect(fake) as archive, pytest.raises(FilmFailed, match="another instance than the one that was asked for"):
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert list(tmp_path.iterdir()) == []


def test_what_is_damaged_is_left_to_the_reader(fake: FakeArchive, tmp_path: Path) -> None:
    fail(fake, instance_fault(Answer(body=envelope(b"no DICOM at all"), content_type=multipart_type())))
    with connect(fake) as archive:
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert (tmp_path / "film.dcm").read_bytes() == b"no DICOM at all"


def test_an_archive_that_is_gone_is_asked_but_once_for_each_further_film(fake: FakeArchive, tmp_path: Path) -> None:
    limits = DicomwebLimits(pause_s=0.0, attempts=3)
    fail(fake, instance_fault(Answer(status=503)))
    with connect(fake, limits=limits) as archive:
        found = archive.search()

        def try_to_fetch(film: ArchivedFilm) -> int:
            before = len(fake.requests)
            with pytest.raises(FilmFailed, match="503"):
                archive.fetch(film, tmp_path / "film.dcm")
            return len(fake.requests) - before

        assert [try_to_fetch(film) for film in [*found, *found]] == [3, 3, 3, 1, 1, 1]
        fail(fake, lambda _path, _before: None)
        archive.fetch(found[0], tmp_path / "film.dcm")
        fail(fake, instance_fault(Answer(status=503)))
        assert try_to_fetch(found[1]) == 3


def test_credentials_go_to_the_archive_and_nowhere_else(
    fake: FakeArchive, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login else password where\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    caplog.set_level(logging.DEBUG)
    with connect(fake, "PatientID=SEEDID99", authorization="Bearer SEEDTOKEN") as archive:
        assert "SEEDTOKEN" not in repr(archive.address)
        archive.fetch(archive.search()[0], tmp_path / "film.dcm")
    assert {headers["Authorization"] for headers in fake.headers} == {"Bearer SEEDTOKEN"}
    assert {headers["Host"] for headers in fake.headers} == {fake.url.split("/")[2]}
    for secret in ("SEED", STUDY, SERIES):
        assert secret not in caplog.text


def test_https_is_verified(films: list[Held], tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    address = f"?StudyInstanceUID={STUDY}"
    with FakeArchive(list(films)).serve(certificate=made.certificate, key=made.key) as fake:
        trusting = Access(authorization="Bearer SEEDTOKEN", ca_file=made.ca)
        with Archive(parse_address(fake.url + address), access=trusting, limits=QUICK) as archive:
            archive.fetch(archive.search()[0], tmp_path / "film.dcm")
        num_asked = len(fake.requests)
        with (
            Archive(
                parse_address(fake.url + address), access=Access(authorization="Bearer SEEDTOKEN"), limits=QUICK
            ) as archive,
            pytest.raises(ArchiveError, match="its certificate was not accepted; --ca-file names the authority"),
        ):
            archive.search()
        assert len(fake.requests) == num_asked
    with (
        FakeArchive(list(films)).serve(certificate=made.stranger, key=made.stranger_key) as stranger,
        Archive(parse_address(stranger.url + address), access=trusting, limits=QUICK) as archive,
        pytest.raises(ArchiveError, match="its certificate was not accepted"),
    ):
        archive.search()
    assert stranger.requests == []


def test_a_result_is_stored_as_it_is(fake: FakeArchive, films: list[Held], tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(films[0].content)
    with connect(fake) as archive:
        name = archive.store(path)
        assert name == archive.search()[0].name
    assert films[0].content in fake.stored[0]


def test_a_result_that_was_damaged_on_disk_is_an_error_of_its_own(fake: FakeArchive, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    for content in (b"", b"no DICOM", b"\0" * 128 + b"DICM\x02\x00"):
        path.write_bytes(content)
        with connect(fake) as archive, pytest.raises(ArchiveError, match="could not be stored: it cannot be read"):
            archive.store(path)
    assert fake.stored == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=409), r"sr.dcm could not be stored: it answers 409 \(Conflict\)"),
        (Answer(status=401), "could not be stored: it answers 401"),
        (Answer(status=500), "could not be stored: it answers 500"),
        (
            Answer(status=202, body=b'{"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [49442]}}]}}'),
            "could not be stored: the archive gives reason 49442",
        ),
        (
            Answer(
                status=202,
                body=b'{"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}',
                content_type="application/dicom+json; charset=utf-8",
            ),
            "could not be stored: the archive gives reason 272",
        ),
        (Answer(body=b"<p>Sign in", content_type="text/html"), "the answer does not say that it was"),
        (Answer(body=b"<NativeDicomModel", content_type="application/dicom+xml"), "its answer cannot be understood"),
        (Answer(body=b'{"00081198": 7}'), "could not be stored: its answer cannot be understood"),
        (Answer(body=b"[[["), "could not be stored: its answer is no DICOM JSON"),
    ],
)
def test_a_result_that_is_not_taken_is_an_error(
    fake: FakeArchive, films: list[Held], tmp_path: Path, answer: Answer, words: str
) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(films[0].content)
    fail(fake, lambda _path, _before: answer)
    limits = DicomwebLimits(pause_s=0.0, attempts=2)
    with connect(fake, limits=limits) as archive, pytest.raises(ArchiveError, match=words):
        archive.store(path)
