import re

import pytest

from xraynet.service.dicomweb_address import is_dicomweb_address, is_uid, parse_address


def test_an_address_says_where_and_what() -> None:
    address = parse_address("dicomweb:https://pacs.example:8443/dicom-web/?StudyDate=20260101-20260131&ModalitiesInStudy=CR,DX")
    assert address.url == "https://pacs.example:8443/dicom-web"
    assert address.terms == {"StudyDate": "20260101-20260131"}
    assert (address.modalities_in_study, address.modalities) == (("CR", "DX"), ())
    assert address.is_encrypted
    assert not address.is_loopback


def test_a_search_is_not_shown() -> None:
    address = parse_address("dicomweb:http://127.0.0.1:8042/dicom-web?PatientID=SEEDID99&StudyInstanceUID=1.2.3")
    assert "SEEDID99" not in repr(address)
    assert "1.2.3" not in repr(address)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("127.9.9.9", True), ("10.0.0.1", False), ("orthanc", False)],
)
def test_this_machine_is_told_from_others(host: str, loopback: bool) -> None:
    assert parse_address(f"dicomweb:http://{host}:8042/rs?AccessionNumber=A1").is_loopback is loopback


@pytest.mark.parametrize("date", ["20260101", "20260101-", "-20260131", "20260101-20260131"])
def test_days_and_ranges_are_dates(date: str) -> None:
    assert parse_address(f"dicomweb:http://localhost/rs?StudyDate={date}").terms == {"StudyDate": date}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dicomweb:ftp://pacs.example/rs?StudyDate=20260101", "begins with 'ftp:'; http:// or https://"),
        ("dicomweb:pacs.example/rs?StudyDate=20260101", "http:// or https:// and a host were expected"),
        ("dicomweb:http://pacs.example:port/rs?StudyDate=20260101", "cannot be read"),
        ("dicomweb:https://annette:secret@pacs.example/rs?StudyDate=20260101", "holds a user name or password"),
        ("dicomweb:https://[::1]/rs?StudyDate=20260101", "bare IPv6"),
        ("dicomweb:https://pacs.example/../rs?StudyDate=20260101", "odd characters"),
        ("dicomweb:https://pacs.example/a b?StudyDate=20260101", "odd characters"),
        ("dicomweb:https://pacs.example/rs?StudyDate=20260101#top", "a part after '#'"),
        ("dicomweb:https://pacs.example/rs", "nothing narrows the search, so it means the whole archive"),
        ("dicomweb:https://pacs.example/rs?ModalitiesInStudy=CR", "nothing narrows the search"),
        ("dicomweb:https://pacs.example/rs?PatientName=SEEDED", "asks for 'PatientName'; known are StudyInstanceUID"),
        ("dicomweb:https://pacs.example/rs?StudyDate=20260101&StudyDate=20260102", "gives StudyDate twice"),
        ("dicomweb:https://pacs.example/rs?StudyDate=1.2.2026", "StudyDate is no date; YYYYMMDD"),
        ("dicomweb:https://pacs.example/rs?StudyInstanceUID=../../etc", "StudyInstanceUID is no UID"),
        ("dicomweb:https://pacs.example/rs?PatientID=*", "has a wildcard"),
        ("dicomweb:https://pacs.example/rs?PatientID=", "PatientID is empty"),
        ("dicomweb:https://pacs.example/rs?AccessionNumber=12345678901234567", "more than 16 characters"),
        ("dicomweb:https://pacs.example/rs?StudyDate=20260101&Modality=cr%20dx", "no list of modalities"),
    ],
)
def test_what_is_no_address_is_told_without_secrets(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_address(text)
    for secret in ("secret", "annette", "SEEDED", "20260102", "1.2.2026"):
        assert secret not in str(caught.value)


def test_files_are_no_addresses() -> None:
    assert is_dicomweb_address("DICOMWEB:http://localhost/rs")
    assert not is_dicomweb_address("films/dicomweb:x")


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1..2", "1.2/..", "1.2\n", "1" * 65, "１.２", "1.2 "])
def test_what_is_no_uid(text: str) -> None:
    assert not is_uid(text)
