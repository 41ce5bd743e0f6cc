"""One fake site and one server for the read-only tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from server.fake_site import write_fake_site
from server.raw_http import Server, running_server


@pytest.fixture(scope="session")
def fake_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole site that no test changes."""
    return write_fake_site(tmp_path_factory.mktemp("site") / "dist")


@pytest.fixture(scope="session")
def server(fake_site: Path) -> Iterator[Server]:
    """serve.py with `fake_site` on a free port of 127.0.0.1."""
    with running_server(fake_site) as running:
        yield running
