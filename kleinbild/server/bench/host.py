"""What this machine tells about itself beside what the browser does: the system and the GPU's driver."""

from __future__ import annotations

import platform
from pathlib import Path

NVIDIA_VERSION = Path("/proc/driver/nvidia/version")
MAX_DRIVER_CHARS = 300


def host_facts(nvidia: Path = NVIDIA_VERSION) -> dict[str, str]:
    """system, machine, and driver ("" where the system names none outside the browser)."""
    try:
        with nvidia.open(encoding="utf-8", errors="replace") as file:
            driver = " ".join(file.readline(MAX_DRIVER_CHARS).split())
    except OSError:
        driver = ""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "driver": driver,
    }
