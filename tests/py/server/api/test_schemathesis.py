"""The OpenAPI document against the running server, with requests that schemathesis makes up from it.

What test_openapi.py asks by hand is asked here by a tool that knows nothing of the code: bodies at and beyond
every limit, bodies of noise, other methods, requests without the key, and one request after another.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from server.api.faces import KEY, Api, running_api

from kleinbild.server.queue.queue import QueueLimits

# What a schema cannot say: a product of two fields, and sides that are multiples within one string. And a job
# that is deleted while it runs is cancelled; its record stays until it is deleted again.
EXCEPTIONS = """
[[operations]]
include-operation-id = ["txt2img", "createImage"]
checks.positive_data_acceptance.enabled = false

[checks]
use_after_free.enabled = false
"""
SECONDS = 120


@pytest.fixture
def url(fake_site: Path) -> Iterator[str]:
    """A server with a fake engine and a key, in a thread of its own."""
    started: list[Api] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_api(fake_site, QueueLimits(max_waiting=100), key=KEY) as api:
            started.append(api)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(SECONDS)
        yield started[0].url
    finally:
        over.set()
        thread.join(SECONDS)


def test_every_answer_is_one_that_the_document_announces(url: str, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(EXCEPTIONS)
    script = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--phases", "coverage,fuzzing,stateful", "--max-examples", "10", "--mode", "all"]
    options += ["--generation-deterministic", "--no-color", "--header", f"Authorization: Bearer {KEY}"]
    command = [script, "--config-file", str(config), "run", f"{url}/openapi.json", *options]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "17 selected / 17 total" in result.stdout
    assert "No issues found" in result.stdout
