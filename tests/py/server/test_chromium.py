"""Which browser is taken, and with which flags."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.chromium import browser_arguments, find_chromium, has_gpu


def program(folder: Path, name: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_find_chromium(tmp_path: Path) -> None:
    chrome = program(tmp_path / "a", "google-chrome-stable")
    environ = {"PATH": f"{tmp_path / 'a'}:{tmp_path / 'b'}"}
    assert find_chromium(environ) == chrome
    named = program(tmp_path / "b", "chromium")
    assert find_chromium(environ) == named  # the order of names goes before the order of folders
    assert find_chromium(environ | {"CHROMIUM": chrome}) == chrome
    assert find_chromium(environ | {"CHROMIUM": "chromium"}) == named
    with pytest.raises(KleinbildError, match="no Chromium found"):
        find_chromium({"PATH": str(tmp_path)})
    with pytest.raises(KleinbildError, match="nowhere"):
        find_chromium(environ | {"CHROMIUM": "/nowhere"})


@pytest.mark.parametrize("name", ["dri/renderD128", "nvidia0", "nvidiactl"])
def test_has_gpu(tmp_path: Path, name: str) -> None:
    (tmp_path / "dri").mkdir()
    (tmp_path / "dri" / "card0").touch()
    (tmp_path / "nvme0").touch()
    assert not has_gpu(tmp_path)
    (tmp_path / name).touch()
    assert has_gpu(tmp_path)


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    software = browser_arguments(tmp_path, 4711, "http://kleinbild.localhost/#x", software=True)
    assert software[-1] == "http://kleinbild.localhost/#x"
    assert f"--user-data-dir={tmp_path}" in software
    assert "--host-resolver-rules=MAP kleinbild.localhost:80 127.0.0.1:4711, MAP * ~NOTFOUND" in software
    assert "--use-webgpu-adapter=swiftshader" in software
    assert "--use-angle=vulkan" not in software
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    hardware = browser_arguments(tmp_path, 1, "u", software=False)
    assert {"--enable-features=Vulkan,VulkanFromANGLE", "--use-angle=vulkan"} <= set(hardware)
    assert "--use-webgpu-adapter=swiftshader" not in hardware
    assert "--no-sandbox" not in hardware
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--no-sandbox" in browser_arguments(tmp_path, 1, "u", software=False)
