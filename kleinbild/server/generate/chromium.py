"""Which Chromium, and with which flags: everything known about starting WebGPU without a window, and what a
kiosk's Chromium (kleinbild/server/kiosk/flags.py) shares with it.

No browser-automation library: the page itself connects to the server. The flags come from runs on
SwiftShader, AMD and NVIDIA; a comment stands where one is not obvious.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from kleinbild.errors import KleinbildError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# The page's origin is the same at every run, whatever the port: the weights in the profile's store belong to
# it. *.localhost is a secure context without a certificate.
ORIGIN = "http://kleinbild.localhost"
ORIGIN_HOST_PORT = "kleinbild.localhost:80"

SHM_BYTES_NEEDED = 1 << 30
HTTP_CACHE_BYTES = 1 << 20  # the weights are kept by the page's own store; twice is once too often

QUIET_FLAGS = (
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--mute-audio",
    "--password-store=basic",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--metrics-recording-only",
    f"--disk-cache-size={HTTP_CACHE_BYTES}",
)
HEADLESS_FLAGS = (
    "--headless",
    # The page has no user: it must not be slowed down as a background tab.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    # Compiling a large pipeline, or one dispatch in software, may take longer than the watchdog's patience.
    "--disable-gpu-watchdog",
    # The page's console goes to the browser's stderr, of which a failure quotes the end.
    "--enable-logging=stderr",
)
SOFTWARE_FLAGS = (
    "--use-webgpu-adapter=swiftshader",
    # SwiftShader unrolls the zeroing of workgroup memory, which our kernels write before they read: without
    # this a pipeline takes ten times as long to compile.
    "--enable-dawn-features=disable_workgroup_init",
)
LINUX_GPU_FLAGS = (
    "--enable-features=Vulkan,VulkanFromANGLE",
    "--use-angle=vulkan",
    "--disable-vulkan-surface",  # there is no display to present to
    "--ignore-gpu-blocklist",
    "--enable-dawn-features=vulkan_enable_f16_on_nvidia",
)


def find_chromium(environ: Mapping[str, str]) -> str:
    """The browser: $CHROMIUM, else the first of NAMES on PATH. Raises KleinbildError when there is none."""
    path = environ.get("PATH", os.defpath)
    named = environ.get("CHROMIUM")
    if named:
        found = shutil.which(named, path=path)
        if not found:
            raise KleinbildError(f"$CHROMIUM is {named}, which is no program")
        return found
    for name in NAMES:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise KleinbildError("no Chromium found; install chromium, or set $CHROMIUM to its path")


def has_gpu(dev: Path = Path("/dev")) -> bool:
    """Whether this machine shows a GPU to programs (on Linux by its device files; elsewhere assumed)."""
    if platform.system() != "Linux":
        return True
    return any(dev.glob("dri/renderD*")) or any(dev.glob("nvidia[0-9c]*"))


def browser_arguments(profile: Path, port: int, url: str, software: bool) -> list[str]:
    """Arguments to show `url` of ORIGIN, served on 127.0.0.1:`port`, with the store in `profile`."""
    return [*HEADLESS_FLAGS, *confined_arguments(profile, port), *adapter_flags(software), url]


def adapter_flags(software: bool) -> tuple[str, ...]:
    """What WebGPU wants of a browser without a window: on SwiftShader, or on this machine's GPU."""
    if software:
        return SOFTWARE_FLAGS
    return LINUX_GPU_FLAGS if platform.system() == "Linux" else ()


def confined_arguments(profile: Path, port: int) -> list[str]:
    """What every browser of ours gets: quiet, WebGPU on, `profile`, and no server but ours on `port`."""
    arguments = [
        *QUIET_FLAGS,
        "--enable-unsafe-webgpu",
        f"--user-data-dir={profile}",
        # Nothing but the page's own origin can be reached.
        f"--host-resolver-rules=MAP {ORIGIN_HOST_PORT} 127.0.0.1:{port}, MAP * ~NOTFOUND",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox refuses to run for root
    if _shared_memory_is_small():
        arguments.append("--disable-dev-shm-usage")
    return arguments


def _shared_memory_is_small(path: str = "/dev/shm") -> bool:
    # Containers often get 64 MiB there, and buffers on their way to the GPU process are larger.
    try:
        info = os.statvfs(path)
    except OSError:
        return False
    return info.f_bavail * info.f_frsize < SHM_BYTES_NEEDED
