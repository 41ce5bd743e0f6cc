"""Shorter pauses before a new engine, for all tests of this folder."""

from __future__ import annotations

import pytest

from kleinbild.server.queue import queue


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is a minute elsewhere is milliseconds here."""
    monkeypatch.setattr(queue, "MAX_PAUSE_SECONDS", 0.005)
