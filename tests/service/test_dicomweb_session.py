from pathlib import Path

import pytest

from xraynet.errors import ArchiveError
from xraynet.service.dicomweb_address import parse_address
from xraynet.service.dicomweb_session import Access, DicomwebLimits, open_session, read_credentials

REMOTE = parse_address("dicomweb:http://pacs.example/rs?StudyDate=20260101")
SECURE = parse_address("dicomweb:https://pacs.example/rs?StudyDate=20260101")
LOCAL = parse_address("dicomweb:http://localhost:8042/rs?StudyDate=20260101")


def write_secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_credentials_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "secret", "bearer abc.DEF-123\n")
    assert read_credentials(path, environment={}) == "Bearer abc.DEF-123"
    environment = {"XRAYNET_DICOMWEB_CREDENTIALS": "basic ann:pass word"}
    assert read_credentials(None, environment=environment) == "Basic YW5uOnBhc3Mgd29yZA=="
    assert read_credentials(path, environment=environment) == "Bearer abc.DEF-123"
    assert read_credentials(None, environment={}) == ""


@pytest.mark.parametrize(
    "text", ["", "SEEDTOKEN", "bearer", "bearer SEED TOKEN", "basic SEEDTOKEN", "digest SEED:TOKEN", "bearer SEED\u00e9"]
)
def test_what_is_no_credentials_is_told_without_them(tmp_path: Path, text: str) -> None:
    path = write_secret(tmp_path / "secret", text)
    with pytest.raises(ArchiveError, match="'bearer TOKEN' or 'basic USER:PASSWORD' was expected") as caught:
        read_credentials(path, environment={})
    assert "SEED" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_others_may_read_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "secret", "bearer abc", mode=0o640)
    with pytest.raises(ArchiveError, match=r"has mode 640, so others may read it; run: chmod 600"):
        read_credentials(path, environment={})
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_credentials(tmp_path / "none", environment={})


def test_plain_http_stays_on_this_machine_unless_it_is_allowed() -> None:
    Access().check(LOCAL)
    Access().check(SECURE)
    Access(allow_http=True).check(REMOTE)
    with pytest.raises(ValueError, match="https was expected"):
        Access().check(REMOTE)
    with pytest.raises(ValueError, match="https was expected"):
        open_session(REMOTE, access=Access())


def test_certificates_are_verified_against_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    with pytest.raises(ValueError, match="no file of certificates at"):
        open_session(SECURE, access=Access(ca_file=authority))
    authority.write_text("")
    assert open_session(SECURE, access=Access(ca_file=authority)).verify == str(authority)
    assert open_session(SECURE, access=Access()).verify is True


def test_a_session_speaks_to_its_archive_alone() -> None:
    import requests

    session = open_session(LOCAL, access=Access())
    for elsewhere in ("http://localhost:8043/rs/studies", "https://pacs.example/rs/studies", "http://localhost:8042/rsx"):
        with pytest.raises(requests.exceptions.InvalidSchema):
            session.get(elsewhere)


def test_secrets_are_not_shown() -> None:
    assert "SEED" not in repr(Access(authorization="Bearer SEEDTOKEN"))


@pytest.mark.parametrize("name", ["max_films", "max_film_bytes", "max_answer_bytes", "attempts"])
def test_limits_are_numbers_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match="more than 0 was expected"):
        DicomwebLimits(**{name: 0})
    with pytest.raises(ValueError, match="0 or more was expected"):
        DicomwebLimits(pause_s=-1)
