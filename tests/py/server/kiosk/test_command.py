"""serve.py kiosk on the command line: what is refused before anything starts, in one line, and its status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


def run(site: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Exit status and stderr of `serve.py kiosk` without a display, unless `environ` names one."""
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(site), "kiosk", *arguments]
    clean = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=clean | environ
    )
    assert result.stdout == ""
    return result.returncode, result.stderr


@pytest.fixture(scope="module")
def kiosk_site(tmp_path_factory: pytest.TempPathFactory, fake_site: Path) -> Path:
    """The fake site with a kiosk's page."""
    root = tmp_path_factory.mktemp("kiosk") / "dist"
    root.mkdir()
    for path in fake_site.iterdir():
        (root / path.name).symlink_to(path)
    (root / "kiosk.html").write_text("<!doctype html>")
    return root


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"idle_seconds": "60"}', "idle_seconds must be a whole number from 5 to 3600"),
        ('{"pin": "1"}', "pin must be a text of 6 to 12 digits"),
        ("{", "no valid JSON"),
    ],
)
def test_a_hostile_operator_file(text: str, told: str, kiosk_site: Path, tmp_path: Path) -> None:
    path = tmp_path / "operator.json"
    path.write_text(text)
    status, words = run(kiosk_site, "--operator", str(path))
    assert status == 78
    assert words.startswith(f"error: {path}: ")
    assert told in words
    assert words.count("\n") == 1


def test_what_else_is_refused(kiosk_site: Path, fake_site: Path, tmp_path: Path) -> None:
    assert run(kiosk_site)[0] == 1
    assert "no display: neither $WAYLAND_DISPLAY nor $DISPLAY is set" in run(kiosk_site)[1]
    assert "kiosk.html: missing" in run(fake_site)[1]
    status, words = run(kiosk_site, "--take-home", DISPLAY=":0")
    assert (status, "--take-home: the operator file has no take_home" in words) == (78, True)
    path = tmp_path / "operator.json"
    path.write_text('{"take_home": {"address": "192.0.2.1"}}')
    status, words = run(kiosk_site, "--take-home", "--operator", str(path), DISPLAY=":0")
    assert (status, "cannot listen on 192.0.2.1" in words) == (1, True)
    assert run(kiosk_site, "--window-size", "big")[0] == 2
    assert run(kiosk_site, "--debug-port", "0")[0] == 2
