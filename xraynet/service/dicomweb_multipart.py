"""The one DICOM object in an archive's answer, written as it arrives.

WADO-RS sends an instance as ``multipart/related`` (PS3.18 section 8.7.3.3). An answer that ends before its closing
delimiter was cut off, and is an error: half a film must never pass for one.
"""

from collections.abc import Callable, Iterator
from email.message import Message
from typing import Final

_MAX_HEAD_BYTES: Final = 16 << 10
_END_OF_HEAD: Final = b"\r\n\r\n"


class MalformedAnswer(ValueError):
    """An answer that does not hold exactly one whole DICOM object."""


def write_single_part(chunks: Iterator[bytes], *, content_type: str, write: Callable[[bytes], int]) -> int:
    """Pass the object in an answer's body to ``write``, piece by piece; returns its length in bytes.

    ``application/dicom`` without an envelope, which some archives send, is taken as it is. Raises MalformedAnswer where
    the answer is of another type, cut off, or holds no object or several.
    """
    header = Message()
    header["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    if header.get_content_type() == "application/dicom":
        return sum(write(chunk) for chunk in chunks)
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary.isascii():
        raise MalformedAnswer("the answer is no multipart/related with a boundary")
    return _Parts(chunks, delimiter=b"\r\n--" + boundary.encode("ascii")).write_only(write)


class _Parts:
    def __init__(self, chunks: Iterator[bytes], *, delimiter: bytes) -> None:
        self._chunks = chunks
        self._delimiter = delimiter
        # The first delimiter may open the body, without the line break that belongs to every other one.
        self._held = b"\r\n"

    def write_only(self, write: Callable[[bytes], int]) -> int:
        self._skip_to(self._delimiter)
        self._skip_to(_END_OF_HEAD)
        num_bytes = self._copy_part(write)
        self._check_end()
        if num_bytes == 0:
            raise MalformedAnswer("the answer's part is empty; a DICOM object was expected")
        return num_bytes

    def _more(self) -> None:
        chunk = next(self._chunks, b"")
        if not chunk:
            raise MalformedAnswer("the answer ends before its closing delimiter")
        self._held += chunk

    def _skip_to(self, mark: bytes) -> None:
        while mark not in self._held:
            if len(self._held) > _MAX_HEAD_BYTES:
                raise MalformedAnswer(f"no DICOM object begins within {_MAX_HEAD_BYTES} bytes of the answer")
            self._more()
        self._held = self._held.partition(mark)[2]

    def _copy_part(self, write: Callable[[bytes], int]) -> int:
        # A part may be empty, and its delimiter then follows the head at once.
        self._held = b"\r\n" + self._held if self._held.startswith(self._delimiter[2:]) else self._held
        num_bytes = 0
        while self._delimiter not in self._held:
            keep = len(self._delimiter) - 1
            num_bytes += write(self._held[:-keep])
            self._held = self._held[-keep:]
            self._more()
        part, _, self._held = self._held.partition(self._delimiter)
        return num_bytes + write(part)

    def _check_end(self) -> None:
        while len(self._held) < 2:
            self._more()
        if not self._held.startswith(b"--"):
            raise MalformedAnswer("the answer holds more than one part; one DICOM object was expected")
