"""What systemd hears of a service of Type=notify: that it is ready and, with WatchdogSec=, that it lives."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


class Notifier:
    """Messages to $NOTIFY_SOCKET; silent where systemd has set none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@name" is a socket in the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environ.get("WATCHDOG_USEC", "")
        known = microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
        self.watchdog_seconds = int(microseconds) / 2e6 if known else None  # half of what it waits

    def ready(self, text: str) -> None:
        """The service is up; `text` is its status line."""
        self._send(f"READY=1\nSTATUS={text}")

    def lives(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service goes down, in good order."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(message.encode(), self._address)
