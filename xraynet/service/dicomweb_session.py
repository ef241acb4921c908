"""One guarded HTTP session with an archive: verified TLS, credentials that are never repeated, and bounded answers.

Whatever an archive sends is held to a size and a time before anybody looks at it. Proxies, ``.netrc`` and other settings
of the environment are left aside: films go to the address that was given, and nowhere else.
"""

import os
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from xraynet.errors import ArchiveError
from xraynet.service.dicomweb_address import DicomwebAddress

CREDENTIALS_VARIABLE: Final = "XRAYNET_DICOMWEB_CREDENTIALS"
_CHUNK_BYTES: Final = 64 << 10
_EXPECTED: Final = "'bearer TOKEN' or 'basic USER:PASSWORD' was expected"


@dataclass(frozen=True)
class DicomwebLimits:
    """What an archive may ask of this machine.

    ``max_films`` bounds how many instances one search may give, ``max_film_bytes`` one film, ``max_answer_bytes`` any
    other answer. ``silence_s``: how long it may say nothing; ``answer_s``: how long one answer may take in all. ``attempts``
    are made of each request, ``pause_s`` apart at first and twice as long each time.
    """

    max_films: int = 10_000
    max_film_bytes: int = 512 << 20
    max_answer_bytes: int = 64 << 20
    silence_s: float = 30.0
    answer_s: float = 300.0
    attempts: int = 5
    pause_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_films", "max_film_bytes", "max_answer_bytes", "silence_s", "answer_s", "attempts"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; more than 0 was expected")
        if self.pause_s < 0:
            raise ValueError(f"pause_s is {self.pause_s}; 0 or more was expected")


DEFAULT_LIMITS: Final = DicomwebLimits()


@dataclass(frozen=True)
class Access:
    """How an archive is spoken to. ``authorization`` is the header's value, never shown; ``ca_file`` verifies https.

    ``allow_http``: plain http beyond this machine, where anybody on the way can read films and credentials.
    """

    authorization: str = field(default="", repr=False)
    ca_file: Path | None = None
    allow_http: bool = False

    def check(self, address: DicomwebAddress) -> None:
        """Raise ValueError where the address may not be spoken to like this."""
        if not (address.is_encrypted or address.is_loopback or self.allow_http):
            raise ValueError(
                "the archive is spoken to by http beyond this machine, where others can read the films; https was expected"
                " (--allow-http if the network between is trusted)"
            )
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError(f"there is no file of certificates at {self.ca_file}")


def read_credentials(path: Path | None, *, environment: Mapping[str, str] = os.environ) -> str:
    """The Authorization header from a file of mode 0600, else from the environment, else "".

    Raises ArchiveError where the text is neither a bearer token nor a user and password, or others may read the file.
    """
    if path is None:
        text, where = environment.get(CREDENTIALS_VARIABLE, ""), f"the environment variable {CREDENTIALS_VARIABLE}"
        return _to_header(text, where=where) if text else ""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"the credentials file {path} cannot be read ({type(error).__name__}); {_EXPECTED}") from None
    if os.name == "posix" and mode & 0o077:
        raise ArchiveError(
            f"the credentials file {path} has mode {mode & 0o777:o}, so others may read it; run: chmod 600 {path}"
        )
    return _to_header(text, where=f"the credentials file {path}")


def _to_header(text: str, *, where: str) -> str:
    kind, _, value = text.strip().partition(" ")
    value = value.strip()
    if kind.lower() == "bearer" and value.isascii() and value.isprintable() and value and " " not in value:
        return f"Bearer {value}"
    if kind.lower() == "basic" and ":" in value and "\n" not in value:
        return f"Basic {b64encode(value.encode('utf-8')).decode('ascii')}"
    raise ArchiveError(f"{where} holds something else than credentials; {_EXPECTED}")


class AnswerTooLarge(requests.RequestException):
    """An answer went beyond its size."""


class AnswerTooSlow(requests.Timeout):
    """An answer took longer in all than it may."""


class _BoundedBody:
    """An answer's body that ends with an error beyond ``max_bytes`` (after decompression) or ``limit_s``."""

    def __init__(self, body: HTTPResponse, *, max_bytes: int, limit_s: float) -> None:
        self._body = body
        self._left = self._max_bytes = max_bytes
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s

    def read(self, amount: int | None = None) -> bytes:
        """What has arrived, at most ``amount`` bytes; b"" at the end. Whatever goes wrong ends the connection."""
        try:
            return self._read(amount or _CHUNK_BYTES)
        except HTTPError as error:
            self.close()
            raise requests.ConnectionError(type(error).__name__) from None
        except requests.RequestException:
            self.close()
            raise

    def _read(self, amount: int) -> bytes:
        # Not read: it waits until all the bytes are there, and an archive that sends one a second would hold it for hours.
        chunk = self._body.read1(amount, decode_content=True) or b""
        self._left -= len(chunk)
        if self._left < 0:
            raise AnswerTooLarge(f"the answer has more than {self._max_bytes} bytes")
        if time.monotonic() > self._deadline:
            raise AnswerTooSlow(f"the answer took more than {self._limit_s:g} s")
        return chunk

    def close(self) -> None:
        """End the connection: the rest of the body is not wanted."""
        self._body.close()

    def release_conn(self) -> None:
        """Give the connection back for another request."""
        self._body.release_conn()


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, limits: DicomwebLimits) -> None:
        super().__init__(max_retries=0, pool_maxsize=2)
        self._limits = limits

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        # dicomweb-client sets Host without the port, which strict servers and proxies take for another site.
        request.headers.pop("Host", None)
        response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        max_bytes = self._limits.max_film_bytes if stream else self._limits.max_answer_bytes
        if "json" in response.headers.get("Content-Type", ""):
            # dicomweb-client passes over the answer to STOW where a character set follows the type.
            response.headers["Content-Type"] = response.headers["Content-Type"].partition(";")[0].strip()
        response.raw = _BoundedBody(response.raw, max_bytes=max_bytes, limit_s=self._limits.answer_s)
        if response.is_redirect:
            response.close()
            raise requests.TooManyRedirects("the archive points to another address")
        return response


def open_session(address: DicomwebAddress, *, access: Access, limits: DicomwebLimits = DEFAULT_LIMITS) -> requests.Session:
    """A session that speaks to ``address`` alone. Raises ValueError where it may not (plain http beyond this machine)."""
    access.check(address)
    session = requests.Session()
    session.trust_env = False
    session.adapters.clear()
    session.mount(f"{address.url}/", _GuardedAdapter(limits))
    # Searches and downloads ask for their own; without one, some archives answer a STOW in XML.
    session.headers["Accept"] = "application/dicom+json"
    session.verify = str(access.ca_file) if access.ca_file is not None else True
    if access.authorization:
        session.headers["Authorization"] = access.authorization
    return session
