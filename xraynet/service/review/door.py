"""Who may come in: by which host name, from which page, with which token or cookie."""

import ipaddress
import secrets
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from xraynet.errors import ActionRefused

_MOST_SESSIONS: Final = 1000
_MOST_NAME_LETTERS: Final = 64
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """True for the names and addresses that only this machine reaches.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Address:
    """How browsers reach the server: by these Host headers, from pages of these origins.

    ``url`` is what a person opens. ``is_secure``: the way there is encrypted, so that the cookie never travels in the clear.
    """

    url: str
    hosts: frozenset[str]
    origins: frozenset[str]
    is_secure: bool

    @classmethod
    def direct(cls, host: str, port: int, *, has_certificate: bool) -> "Address":
        """A server that browsers speak to themselves, under the name ``host``.

        >>> sorted(Address.direct("127.0.0.1", 8765, has_certificate=False).hosts)
        ['127.0.0.1:8765', 'localhost:8765']
        """
        scheme = "https" if has_certificate else "http"
        names = _names_with_port([host, *(["localhost"] if is_loopback(host) else [])], port, scheme)
        return cls(
            url=f"{scheme}://{_names_with_port([host], port, scheme)[0]}",
            hosts=frozenset(names),
            origins=frozenset(f"{scheme}://{name}" for name in names),
            is_secure=has_certificate,
        )

    @classmethod
    def behind_proxy(cls, origin: str, *, host: str, port: int) -> "Address":
        """A server that browsers reach through a proxy at ``origin``. Raises ValueError where that is no https origin.

        >>> Address.behind_proxy("https://review.example.org", host="127.0.0.1", port=8765).url
        'https://review.example.org'
        """
        parts = urlsplit(origin)
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
            raise ValueError(f"the proxy's origin is '{origin}'; https://HOST or https://HOST:PORT was expected")
        names = _names_with_port([parts.hostname], parts.port or 443, "https")
        own = Address.direct(host, port, has_certificate=False).hosts if is_loopback(host) else frozenset()
        return cls(
            url=f"https://{names[0]}",
            hosts=frozenset(names) | own,
            origins=frozenset(f"https://{name}" for name in names),
            is_secure=True,
        )


def _names_with_port(names: Iterable[str], port: int, scheme: str) -> list[str]:
    written = [f"[{name}]" if ":" in name and not name.startswith("[") else name.lower() for name in names]
    bare = written if port == _DEFAULT_PORTS[scheme] else []
    return [*bare, *(f"{name}:{port}" for name in written)]


@dataclass
class Session:
    """One browser that came in with the token, and who sits at it."""

    reader: str | None = None


@dataclass
class Door:
    """The token of this start, and the sessions that it opened. Safe to use from several threads."""

    address: Address
    cookie_name: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _sessions: dict[str, Session] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def url(self) -> str:
        """The address that lets a browser in."""
        return f"{self.address.url}/?token={self.token}"

    def knows_token(self, token: str) -> bool:
        """True for the token of this start."""
        return secrets.compare_digest(token.encode("utf-8"), self.token.encode("utf-8"))

    def open_session(self) -> str:
        """A new session's cookie value; the oldest session goes where there are too many."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[value] = Session()
            while len(self._sessions) > _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        return value

    def find_session(self, value: str) -> Session | None:
        """The session of a cookie; None where this start gave no such cookie."""
        with self._lock:
            return self._sessions.get(value)

    def readers(self) -> set[str]:
        """The names of those who sit at a browser now."""
        with self._lock:
            return {session.reader for session in self._sessions.values() if session.reader is not None}

    def cookie(self, value: str) -> str:
        """The Set-Cookie header that keeps a session."""
        secure = "; Secure" if self.address.is_secure else ""
        return f"{self.cookie_name}={value}; HttpOnly; SameSite=Strict; Path=/{secure}"


def parse_reader(name: object, *, known: Iterable[str] = ()) -> str:
    """A reader's name, blanks single; one of ``known`` where it differs from it in upper and lower case only.

    Raises ActionRefused where it is empty, too long, or no plain text.

    >>> parse_reader(" Dr.  Ada ", known=["dr. ada"])
    'dr. ada'
    """
    if not isinstance(name, str):
        raise ActionRefused("the name is no text")
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not 1 <= len(plain) <= _MOST_NAME_LETTERS or not plain.isprintable():
        raise ActionRefused(f"a reader's name has 1 to {_MOST_NAME_LETTERS} printable letters")
    return next((other for other in known if other.casefold() == plain.casefold()), plain)
