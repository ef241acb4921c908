"""What a node is asked to be: its name, its peers, its limits, how long it keeps things."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xraynet.service.node.peers import AllowedPeer, AllowList, Archive, check_ae_title

LOOPBACK: Final = "127.0.0.1"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  only where peers beyond loopback are listed, and only they are let in


@dataclass(frozen=True)
class NodeLimits:
    """What one peer, and all together, may ask of the node.

    ``max_object_mib``: of one object, beyond which the association is aborted while it is received. ``network_timeout_s``:
    silence after which a connection is closed. ``transfer_limit_s``: how long one object may take to arrive.
    """

    max_object_mib: float = 256.0
    max_associations: int = 10
    max_pdu_bytes: int = 131072
    network_timeout_s: float = 60.0
    transfer_limit_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("max_object_mib", "network_timeout_s", "transfer_limit_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; a number above 0 was expected")
        if not 1 <= self.max_associations <= 1000:
            raise ValueError(f"max_associations is {self.max_associations}; 1 to 1000 were expected")
        if not 4096 <= self.max_pdu_bytes <= 1 << 24:
            raise ValueError(f"max_pdu_bytes is {self.max_pdu_bytes}; 4096 to {1 << 24} were expected")

    @property
    def max_object_bytes(self) -> int:
        """The largest object, in bytes."""
        return int(self.max_object_mib * (1 << 20))


@dataclass(frozen=True)
class Retention:
    """How long things are kept, and how much of the disk stays free.

    ``keep_days``: received films and results, after the archive took the results (after reading, without an archive).
    ``keep_failed_days``: those that failed, were refused by the archive or were kept apart. Readings are the site's to
    remove: they name no patient. Below ``min_free_gib`` no film is accepted; what is queued goes on.
    """

    keep_days: float = 7.0
    keep_failed_days: float = 90.0
    min_free_gib: float = 2.0

    def __post_init__(self) -> None:
        for name in ("keep_days", "keep_failed_days", "min_free_gib"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; 0 or more was expected")

    @property
    def min_free_bytes(self) -> float:
        """The floor of free disk space, in bytes."""
        return self.min_free_gib * (1 << 30)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the node's certificate and its key, and the CA whose certificates peers must show (None: none asked)."""

    certificate: Path
    key: Path
    ca: Path | None = None


@dataclass(frozen=True)
class NodeOptions:
    """A node. Ports of 0 are free ones; ``host`` None is loopback, or every address where peers beyond it are listed."""

    ae_title: str
    port: int
    host: str | None = None
    allow: tuple[AllowedPeer, ...] = ()
    forward: Archive | None = None
    forward_tls: bool = False
    tls: TlsFiles | None = None
    health_port: int = 11113
    limits: NodeLimits = field(default_factory=NodeLimits)
    retention: Retention = field(default_factory=Retention)
    retry_first_s: float = 2.0
    retry_cap_s: float = 300.0
    retry_refused: bool = False

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        for name in ("port", "health_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ValueError(f"{name} is {getattr(self, name)}; 0 to 65535 were expected")
        if not 0 < self.retry_first_s <= self.retry_cap_s < math.inf:
            raise ValueError(f"retries wait from {self.retry_first_s} to {self.retry_cap_s} s; first and cap must be above 0")
        if self.forward_tls and (self.tls is None or self.tls.ca is None):
            raise ValueError("forwarding over TLS needs a certificate, a key and the CA of the archive's certificate")

    @property
    def bind_host(self) -> str:
        """The address that the node listens on."""
        if self.host is not None:
            return self.host
        return LOOPBACK if AllowList(self.allow).is_loopback_only else _EVERYWHERE
