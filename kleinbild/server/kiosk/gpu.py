"""Which GPU a kiosk has, and the flags that make WebGPU run on it with a window.

Vendors are told by PCI ids in /sys, so nothing has to be installed to ask. The AMD set is the one published
for the BC-250 and its like; Intel and NVIDIA are on by default in recent Chromium.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.chromium import SOFTWARE_FLAGS

VENDORS = {0x10DE: "nvidia", 0x1002: "amd", 0x8086: "intel"}  # the first that is found is taken
GPUS = ("auto", *VENDORS.values(), "other", "software")
DISPLAYS = ("auto", "x11", "wayland")
MAX_ID_BYTES = 32


def find_gpu(drm: Path = Path("/sys/class/drm")) -> str:
    """ "amd", "intel", "nvidia", or "other" when no card of theirs is there."""
    found = set()
    for path in drm.glob("*/device/vendor"):
        try:
            with path.open("rb") as file:
                found.add(int(file.read(MAX_ID_BYTES), 16))
        except (OSError, ValueError):  # a card that went away, or a device that is no PCI one
            continue
    return next((name for vendor, name in VENDORS.items() if vendor in found), "other")


def find_display(asked: str, gpu: str, environ: Mapping[str, str]) -> str:
    """ "x11" or "wayland" for this session. Raises KleinbildError when there is no display."""
    there = {"x11": bool(environ.get("DISPLAY")), "wayland": bool(environ.get("WAYLAND_DISPLAY"))}
    if asked != "auto":
        if there[asked]:
            return asked
        variable = "DISPLAY" if asked == "x11" else "WAYLAND_DISPLAY"
        raise KleinbildError(
            f"--display {asked}: ${variable} is not set; start the kiosk inside a {asked} session"
        )
    # AMD's WebGPU wants X11; under a Wayland compositor XWayland gives it.
    order = ("x11", "wayland") if gpu == "amd" else ("wayland", "x11")
    for name in order:
        if there[name]:
            return name
    raise KleinbildError(
        "no display: neither $WAYLAND_DISPLAY nor $DISPLAY is set; start the kiosk in a graphical session, "
        "or with cage (docs/kiosk.md)"
    )


def gpu_flags(gpu: str, display: str) -> tuple[list[str], list[str]]:
    """(flags, names for --enable-features) for `gpu` on `display`."""
    flags = [f"--ozone-platform={display}"]
    if gpu == "software":
        # Pictures take minutes here: the watchdog would take the GPU process for hung. The second flag: a GPU
        # process that crashed is followed by one that has SwiftShader, too.
        return [*flags, *SOFTWARE_FLAGS, "--disable-gpu-watchdog", "--enable-unsafe-swiftshader"], []
    flags.append("--ignore-gpu-blocklist")
    if gpu == "amd":
        return [*flags, "--use-angle=vulkan"], ["Vulkan", "VulkanFromANGLE"]
    if gpu == "nvidia":
        return [*flags, "--enable-dawn-features=vulkan_enable_f16_on_nvidia"], ["Vulkan"]
    return flags, ["Vulkan"]
