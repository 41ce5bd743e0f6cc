"""What systemd hears, on a socket of its kind."""

from __future__ import annotations

import socket
from pathlib import Path

from kleinbild.server.kiosk.notify import Notifier


def test_messages(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"})
        assert notifier.watchdog_seconds == 30
        notifier.ready("showing build b1")
        notifier.lives()
        notifier.stopping()
        heard = [listener.recv(100) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=showing build b1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_it_is_silent(tmp_path: Path) -> None:
    notifier = Notifier({})
    assert notifier.watchdog_seconds is None
    notifier.ready("x")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nowhere"), "WATCHDOG_USEC": "soon"}).lives()
