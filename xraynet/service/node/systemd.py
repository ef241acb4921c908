"""Words to systemd, where it started the node: ready, alive, stopping (the protocol of sd_notify)."""

import os
import socket
import time


class Notifier:
    """Tells systemd how the node is; does nothing where nobody asked."""

    def __init__(self) -> None:
        """Reads ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``, which systemd sets."""
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        interval_us = os.environ.get("WATCHDOG_USEC", "")
        self._interval_s = int(interval_us) / 2e6 if interval_us.isdigit() else None
        self._due_at = 0.0

    def say(self, state: str) -> None:
        """Send one state, such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.sendto(state.encode(), address)
        except OSError:  # a supervisor that does not listen is no reason to stop
            return

    def feed_watchdog(self) -> None:
        """Say that all is alive, as often as systemd wants to hear it."""
        if self._interval_s is not None and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self._interval_s
            self.say("WATCHDOG=1")
