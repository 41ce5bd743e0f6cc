"""The command line of a kiosk's Chromium, and the state that a crash would leave in its profile."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.chromium import ORIGIN, confined_arguments
from kleinbild.server.generate.files import write_whole
from kleinbild.server.kiosk.gpu import gpu_flags

PAGE = f"{ORIGIN}/kiosk.html"
MAX_PREFERENCES_BYTES = 16 << 20

# No bubble, bar, dialog, gesture or menu of the browser's own. docs/kiosk.md tells what policies add.
KIOSK_FLAGS = (
    "--noerrdialogs",
    "--hide-crash-restore-bubble",
    "--disable-session-crashed-bubble",
    "--disable-infobars",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--deny-permission-prompts",
    "--disable-print-preview",
    "--disable-notifications",
    # A GPU process that crashed is followed by another, however often, and the page may use it at once.
    # Without these Chromium goes on without a GPU, or keeps it from the page that it takes for the culprit.
    "--disable-gpu-process-crash-limit",
    "--disable-domain-blocking-for-3d-apis",
    "--disable-features=Translate,GlobalMediaControls,MediaRouter",
)


@dataclass(frozen=True)
class Screen:
    """How the browser appears. size: (width, height); size and scale None: those of the display."""

    gpu: str  # "amd", "intel", "nvidia", "other" or "software"
    display: str  # "x11" or "wayland"
    windowed: bool
    size: tuple[int, int] | None
    scale: float | None
    debug_port: int | None


def kiosk_arguments(profile: Path, port: int, screen: Screen) -> list[str]:
    """Arguments of a Chromium that shows the kiosk face, served on 127.0.0.1:`port`."""
    flags, features = gpu_flags(screen.gpu, screen.display)
    arguments = [*confined_arguments(profile, port), *KIOSK_FLAGS, *flags]
    if features:
        arguments.append(f"--enable-features={','.join(features)}")
    if screen.size is not None:
        arguments += [f"--window-size={screen.size[0]},{screen.size[1]}", "--window-position=0,0"]
    if screen.scale is not None:
        arguments.append(f"--force-device-scale-factor={screen.scale:g}")
    if screen.debug_port is not None:
        arguments.append(f"--remote-debugging-port={screen.debug_port}")
    return [*arguments, f"--app={PAGE}"] if screen.windowed else [*arguments, "--kiosk", PAGE]


def forget_crash(profile: Path) -> None:
    """Let the profile in `profile` say that its browser ended well: a kiosk has nobody who restores pages."""
    path = profile / "Default" / "Preferences"
    with contextlib.suppress(OSError, ValueError, RecursionError, KleinbildError):
        with path.open("rb") as file:
            preferences = json.loads(file.read(MAX_PREFERENCES_BYTES))
        ended = {"exit_type": "Normal", "exited_cleanly": True}
        if isinstance(preferences, dict) and isinstance(preferences.get("profile", {}), dict):
            preferences["profile"] = {**preferences.get("profile", {}), **ended}
            write_whole(path, json.dumps(preferences).encode())
