import io
from collections.abc import Iterator

import pytest
from fake_archive import envelope, multipart_type

from xraynet.service.dicomweb_multipart import MalformedAnswer, write_single_part

FILM = b"\0" * 128 + b"DICM" + bytes(range(256)) * 40 + b"\r\n--bound\r\n\r\n"


def cut_into(body: bytes, size: int) -> Iterator[bytes]:
    return iter([body[start : start + size] for start in range(0, len(body), size)])


def write(body: bytes, *, size: int = 100, content_type: str = multipart_type()) -> bytes:
    into = io.BytesIO()
    num = write_single_part(cut_into(body, size), content_type=content_type, write=into.write)
    assert num == len(into.getvalue())
    return into.getvalue()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_the_object_comes_out_as_it_went_in_however_it_is_cut_into_chunks(size: int) -> None:
    assert write(envelope(FILM), size=size) == FILM
    assert write(b"\r\n" + envelope(FILM), size=size) == FILM
    assert write(b"a preamble that nobody reads\r\n" + envelope(FILM), size=size) == FILM


def test_an_object_without_an_envelope_is_taken() -> None:
    assert write(FILM, content_type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1") == FILM


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
@pytest.mark.parametrize("missing", [1, 3, 5, 30, 5000])
def test_an_answer_that_was_cut_off_is_no_film(missing: int, size: int) -> None:
    body = envelope(FILM).rstrip(b"\r\n")
    with pytest.raises(MalformedAnswer, match="ends before its closing delimiter"):
        write(body[:-missing], size=size)


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (envelope(FILM, FILM), multipart_type(), "more than one part"),
        (envelope(), multipart_type(), "ends before"),
        (envelope(b""), multipart_type(), "is empty"),
        (b"", multipart_type(), "ends before"),
        (b"x" * 40000, multipart_type(), "no DICOM object begins within"),
        (envelope(FILM), "multipart/related", "no multipart/related with a boundary"),
        (envelope(FILM), "text/html; boundary=x", "no multipart/related with a boundary"),
        (envelope(FILM), "", "no multipart/related with a boundary"),
        (envelope(FILM), 'multipart/related; boundary="\u00e9"', "no multipart/related with a boundary"),
    ],
)
def test_what_is_no_single_object_is_refused(body: bytes, content_type: str, words: str) -> None:
    with pytest.raises(MalformedAnswer, match=words):
        write(body, content_type=content_type)
