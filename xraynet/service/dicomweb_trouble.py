"""What went wrong between xraynet and an archive: whether it may pass, and how to say it without an address or a UID."""

from http import HTTPStatus
from typing import Final

import requests

from xraynet.service.dicomweb_multipart import MalformedAnswer
from xraynet.service.dicomweb_session import CREDENTIALS_VARIABLE, AnswerTooLarge, AnswerTooSlow

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def is_transient(error: Exception) -> bool:
    """True where the same request may work a little later: silence, an overloaded archive, an answer that was cut off."""
    if isinstance(error, requests.HTTPError):
        return _status_of(error) in _PASSING
    if isinstance(error, (requests.exceptions.SSLError, AnswerTooLarge, AnswerTooSlow)):
        return False
    return isinstance(
        error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, MalformedAnswer)
    )


def wished_pause_s(error: Exception) -> float:
    """The seconds that the archive asks to wait (Retry-After), else 0."""
    if not isinstance(error, requests.HTTPError) or error.response is None:
        return 0.0
    text = error.response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def describe_trouble(error: Exception) -> str:
    """A sentence for a person. Never the library's own words, which repeat the address."""
    if isinstance(error, requests.HTTPError):
        return _describe_status(_status_of(error))
    if isinstance(error, (MalformedAnswer, AnswerTooLarge, AnswerTooSlow)):
        return str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted; --ca-file names the authority that signed it"
    if isinstance(error, requests.TooManyRedirects):
        return "it points to another address; give the address that it really has"
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "its answer is no DICOM JSON"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached, or broke the connection off"
    return f"its answer cannot be understood ({type(error).__name__})"


def _status_of(error: requests.HTTPError) -> int:
    return error.response.status_code if error.response is not None else 0


def _describe_status(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"it answers {status}: these credentials do not suffice ({CREDENTIALS_VARIABLE}, or --credentials FILE)"
    if status == HTTPStatus.NOT_FOUND:
        return "it answers 404: there is nothing at that address"
    known = {one.value: f" ({one.phrase})" for one in HTTPStatus}
    return f"it answers {status}{known.get(status, '')}"
