"""What browser tests share: sites packaged once a model, their servers, a Chromium driven by Playwright.

Playwright is a tool of the tests only; `serve.py generate`, tested here too, starts its own browser.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser_visits import FLAGS
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright
from server.raw_http import Server, running_server

from kleinbild.checkpoint.tiny import write_tiny_checkpoint

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
BUILD_SECONDS = 300
SHORT_PROMPT = 64  # tokens, with the template

# SwiftShader and the pages share a few cores: what must come true is given time.
expect.set_options(timeout=30_000)

MakeSite = Callable[..., Path]
Serve = Callable[[Path], Server]


def run_build(*arguments: str | Path) -> None:
    """Run build.py; its words become the failure when it refuses."""
    command = [sys.executable, str(ROOT / "build.py"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> MakeSite:
    """make_site(checkpoint, weights="f32") exports and packages it, once a session; returns the dist/."""
    made: dict[tuple[Path, str], Path] = {}

    def make(checkpoint: Path, weights: str = "f32") -> Path:
        key = (checkpoint, weights)
        if key not in made:
            folder = tmp_path_factory.mktemp("site")
            run_build("export", checkpoint, "--out", folder / "bundle", "--weights", weights)
            run_build("site", folder / "bundle", "--out", folder / "dist")
            made[key] = folder / "dist"
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dist/ with the model of the tests, as `build.py site tiny` writes it."""
    dist = tmp_path_factory.mktemp("tiny") / "dist"
    run_build("site", "tiny", "--out", dist)
    return dist


@pytest.fixture(scope="session")
def short_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for short prompts: 512 tokens take longer than all the rest. Too quick to have previews."""
    folder = tmp_path_factory.mktemp("short")
    write_tiny_checkpoint(folder / "checkpoint")
    index = folder / "checkpoint" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"kleinbild_text_seq_len": SHORT_PROMPT}))
    run_build("site", folder / "checkpoint", "--weights", "f16", "--out", folder / "dist")
    return folder / "dist"


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """serve(dist) starts serve.py for a site, once a session for each."""
    running: dict[Path, Server] = {}
    with ExitStack() as stack:

        def start(dist: Path) -> Server:
            if dist not in running:
                running[dist] = stack.enter_context(running_server(dist))
            return running[dist]

        yield start


@pytest.fixture(scope="session")
def url(short_site: Path, serve: Serve) -> str:
    """Where the small model's site is served."""
    return f"http://{serve(short_site).authority}"


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go: $KLEINBILD_SHOTS to look at them, else a folder that pytest forgets."""
    folder = Path(os.environ.get("KLEINBILD_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def launch_flags() -> list[str]:
    """What `browser` was started with, for a test that starts one of its own."""
    return FLAGS


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The one of this process: there cannot be two."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """$CHROMIUM or /usr/bin/chromium without a window, with WebGPU on SwiftShader."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    launched = playwright.chromium.launch(executable_path=executable, args=FLAGS)
    yield launched
    launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile: nothing stored, no service worker."""
    made = browser.new_context()
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A blank page of `context`."""
    return context.new_page()
