"""Put on PYTHONPATH: every connection beyond this machine, and every look-up of a name, is written down and refused."""

import os
import sys
from pathlib import Path

_LOG = os.environ["XRAYNET_SOCKET_LOG"]
_WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}
_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_HERE = {"127.0.0.1", "::1", "localhost", None, ""}


def _is_here(address: object) -> bool:
    if isinstance(address, (str, bytes)) or address is None:  # AF_UNIX, or a socket that is connected
        return True
    return isinstance(address, tuple) and address[0] in _HERE


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _WATCHED:
        address = arguments[1] if len(arguments) > 1 else None
        allowed = _is_here(address)
    elif event in _LOOKUPS:
        address = arguments[0]
        allowed = address in _HERE
    else:
        return
    if not allowed:
        with Path(_LOG).open("a") as stream:
            stream.write(f"{event} {address!r}\n")
        raise PermissionError(f"{event} {address!r}: only this machine may be spoken to")


sys.addaudithook(_refuse)
with Path(_LOG).open("a") as stream:
    stream.write("guarded\n")
