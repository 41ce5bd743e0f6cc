"""Which GPU and display are found, and the command lines that follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.kiosk.flags import PAGE, Screen, forget_crash, kiosk_arguments
from kleinbild.server.kiosk.gpu import find_display, find_gpu


def card(drm: Path, name: str, vendor: str) -> None:
    (drm / name / "device").mkdir(parents=True)
    (drm / name / "device" / "vendor").write_text(vendor)


@pytest.mark.parametrize(
    ("cards", "found"),
    [
        ({}, "other"),
        ({"card0": "0x1002\n"}, "amd"),
        ({"card0": "0x8086\n"}, "intel"),
        ({"card0": "0x8086\n", "card1": "0x10de\n"}, "nvidia"),
        ({"card0": "0x8086\n", "renderD129": "0x1002\n"}, "amd"),
        ({"card0": "0x1af4\n"}, "other"),
        ({"card0": "rubbish", "card1": "0x8086\n"}, "intel"),
    ],
)
def test_find_gpu(cards: dict[str, str], found: str, tmp_path: Path) -> None:
    for name, vendor in cards.items():
        card(tmp_path, name, vendor)
    (tmp_path / "version").write_text("drm 1.1.0")
    assert find_gpu(tmp_path) == found


def test_find_display() -> None:
    x11, wayland = {"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}
    assert find_display("auto", "intel", x11) == "x11"
    assert find_display("auto", "amd", wayland) == "wayland"
    assert find_display("auto", "amd", x11 | wayland) == "x11"
    assert find_display("auto", "nvidia", x11 | wayland) == "wayland"
    assert find_display("x11", "nvidia", x11 | wayland) == "x11"
    with pytest.raises(KleinbildError, match=r"--display wayland: \$WAYLAND_DISPLAY is not set"):
        find_display("wayland", "amd", x11)
    with pytest.raises(KleinbildError, match="no display"):
        find_display("auto", "amd", {"DISPLAY": ""})


def arguments(gpu: str, display: str = "x11", **screen: object) -> list[str]:
    values = {"windowed": False, "size": None, "scale": None, "debug_port": None, **screen}
    return kiosk_arguments(Path("/profile"), 4711, Screen(gpu, display, **values))  # type: ignore[arg-type]


def test_arguments() -> None:
    amd = arguments("amd")
    assert amd[-2:] == ["--kiosk", PAGE]
    assert {
        "--enable-unsafe-webgpu",
        "--ozone-platform=x11",
        "--use-angle=vulkan",
        "--enable-features=Vulkan,VulkanFromANGLE",
    } <= set(amd)
    assert "--host-resolver-rules=MAP kleinbild.localhost:80 127.0.0.1:4711, MAP * ~NOTFOUND" in amd
    assert "--user-data-dir=/profile" in amd
    assert "--headless" not in amd
    assert "--disable-gpu-watchdog" not in amd  # a hung GPU process is to be ended
    assert not any(a.startswith("--remote-debugging") for a in amd)
    intel = arguments("intel", "wayland")
    assert "--ozone-platform=wayland" in intel
    assert "--use-angle=vulkan" not in intel
    assert "--use-webgpu-adapter=swiftshader" not in intel
    software = arguments("software", windowed=True, size=(800, 600), scale=1.5, debug_port=9000)
    assert software[-1] == f"--app={PAGE}"
    assert {
        "--use-webgpu-adapter=swiftshader",
        "--window-size=800,600",
        "--force-device-scale-factor=1.5",
        "--remote-debugging-port=9000",
    } <= set(software)
    for made in (amd, intel, software):  # Chromium takes the last of each and forgets the others
        for flag in ("--enable-features=", "--disable-features=", "--enable-dawn-features="):
            assert sum(a.startswith(flag) for a in made) <= 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"profile": 3}', "[" * 9999])
def test_a_damaged_profile_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "Default").mkdir()
    path = tmp_path / "Default" / "Preferences"
    path.write_text(text)
    forget_crash(tmp_path)
    assert path.read_text() == text


def test_a_crash_is_forgotten(tmp_path: Path) -> None:
    forget_crash(tmp_path)  # a profile that has never run
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "Default").mkdir()
    path = tmp_path / "Default" / "Preferences"
    path.write_text(json.dumps({"a": 1, "profile": {"name": "x", "exit_type": "Crashed"}}))
    forget_crash(tmp_path)
    assert json.loads(path.read_text()) == {
        "a": 1,
        "profile": {"name": "x", "exit_type": "Normal", "exited_cleanly": True},
    }
