"""Who may speak to the node, and to whom it speaks: ``AE@HOST`` and ``AE@HOST:PORT``."""

import ipaddress
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

ANY_AE: Final = "*"
_LOOKED_UP_FOR_S: Final = 60.0
_AE: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+(/\d{1,3})?|[0-9.]+/\d{1,2}")


def check_ae_title(title: str) -> str:
    """The title, where it is one (PS3.5, VR AE): 1 to 16 printable ASCII characters without a backslash. Else ValueError."""
    if not _AE.fullmatch(title):
        raise ValueError(f"AE title is '{title}'; 1 to 16 printable ASCII characters without a backslash were expected")
    return title


@dataclass(frozen=True)
class Archive:
    """Where results are sent."""

    ae_title: str
    host: str
    port: int

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not _HOST.fullmatch(self.host) or not 1 <= self.port <= 65535:
            raise ValueError(
                f"the archive is at '{self.host}', port {self.port}; a host and a port from 1 to 65535 were expected"
            )

    @classmethod
    def parse(cls, text: str) -> "Archive":
        """The archive in ``AE@HOST:PORT``. Raises ValueError where it is none.

        >>> Archive.parse("PACS@10.0.0.5:104")
        Archive(ae_title='PACS', host='10.0.0.5', port=104)
        """
        title, _, place = text.rpartition("@")
        host, _, port = place.rpartition(":")
        if not title or not host or not port.isdigit():
            raise ValueError(f"the archive is '{text}'; AE@HOST:PORT was expected")
        return cls(ae_title=title, host=host.strip("[]"), port=int(port))

    @property
    def loopback(self) -> str | None:
        """The loopback address from which an archive on this machine is spoken to; None for any other archive.

        >>> Archive.parse("PACS@localhost:104").loopback, Archive.parse("PACS@10.0.0.5:104").loopback
        ('127.0.0.1', None)
        """
        if self.host == "localhost":
            return "127.0.0.1"
        address = _normal_address(self.host)
        return str(address) if address is not None and address.is_loopback else None


@dataclass(frozen=True)
class AllowedPeer:
    """A calling AE title, ``*`` for any, and where it may call from: an address, a network (10.1.0.0/16) or a host's name."""

    ae_title: str
    host: str

    def __post_init__(self) -> None:
        if self.ae_title != ANY_AE:
            check_ae_title(self.ae_title)
        if not _HOST.fullmatch(self.host):
            raise ValueError(f"the host of an allowed peer is '{self.host}'; an address, a network or a name was expected")
        if "/" in self.host:
            ipaddress.ip_network(self.host)  # its ValueError says what is wrong

    @classmethod
    def parse(cls, text: str) -> "AllowedPeer":
        """The peer in ``AE@HOST``. Raises ValueError where it is none.

        >>> AllowedPeer.parse("CR1@10.1.2.0/24")
        AllowedPeer(ae_title='CR1', host='10.1.2.0/24')
        """
        title, _, host = text.rpartition("@")
        if not title or not host:
            raise ValueError(f"the allowed peer is '{text}'; AE@HOST was expected (*@HOST for any AE title)")
        return cls(ae_title=title, host=host.strip("[]"))

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The addresses that are meant; None where the host is a name."""
        try:
            return ipaddress.ip_network(self.host)
        except ValueError:
            return None


class AllowList:
    """Loopback, and whoever is listed: calling AE title and address must fit together."""

    def __init__(self, peers: tuple[AllowedPeer, ...] = ()) -> None:
        self.peers = peers
        self._lock = threading.Lock()
        self._looked_up: dict[str, tuple[float, frozenset[str]]] = {}

    @property
    def is_loopback_only(self) -> bool:
        """True where nobody beyond this machine is let in."""
        return all(peer.network is not None and peer.network.is_loopback for peer in self.peers)

    def admits(self, *, ae_title: str, address: str) -> bool:
        """Whether this calling AE may associate from this address (loopback may, under any title)."""
        found = _normal_address(address)
        if found is None:
            return False
        if found.is_loopback:
            return True
        return any(peer.ae_title in (ANY_AE, ae_title.strip()) and self._is_at(peer, found) for peer in self.peers)

    def may_know(self, address: str) -> bool:
        """Whether anybody might call from this address, as far as that can be told without looking up a name."""
        found = _normal_address(address)
        if found is None:
            return False
        return found.is_loopback or any(peer.network is None or found in peer.network for peer in self.peers)

    def _is_at(self, peer: AllowedPeer, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        network = peer.network
        return address in network if network is not None else str(address) in self._look_up(peer.host)

    def _look_up(self, name: str) -> frozenset[str]:
        """The addresses of a name, asked for again every minute; none where it is not known now."""
        with self._lock:
            asked_at, addresses = self._looked_up.get(name, (-_LOOKED_UP_FOR_S, frozenset()))
            if time.monotonic() - asked_at >= _LOOKED_UP_FOR_S:
                try:
                    addresses = frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(name, None))
                except OSError:
                    addresses = frozenset()
                self._looked_up[name] = (time.monotonic(), addresses)
            return addresses


def _normal_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped if mapped is not None else address
