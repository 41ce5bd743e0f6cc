"""What may be asked of serve.py kiosk, as given on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kleinbild.server.kiosk.gpu import DISPLAYS, GPUS

DEFAULT_PAGE_TIMEOUT = 30.0
_SIZE = re.compile(r"([0-9]{3,5})x([0-9]{3,5})")


@dataclass(frozen=True)
class KioskOptions:
    """The command line as given; None stands for "not given". page_timeout in seconds."""

    operator: Path | None
    profile: Path | None
    gpu: str
    display: str
    windowed: bool
    size: tuple[int, int] | None
    scale: float | None
    take_home: bool
    page_timeout: float
    port: int | None
    debug_port: int | None
    verbose: bool


def data_folder(environ: Mapping[str, str]) -> Path:
    """The folder for the kiosk's profile, below the user's data folder (XDG base directory specification)."""
    base = environ.get("XDG_DATA_HOME", "")
    # The specification says a relative path must be ignored.
    root = Path(base) if base.startswith("/") else Path("~/.local/share").expanduser()
    return root / "kleinbild" / "kiosk"


def add_kiosk(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command kiosk."""
    parser.add_argument("--operator", type=Path, metavar="FILE", help="how the kiosk behaves (docs/kiosk.md)")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="the browser's profile (default: in the user's data folder)",
    )
    parser.add_argument(
        "--gpu", choices=GPUS, default="auto", help="whose flags; software computes on the CPU"
    )
    parser.add_argument("--display", choices=DISPLAYS, default="auto", help="default: %(default)s")
    parser.add_argument("--windowed", action="store_true", help="a window, to try it out")
    parser.add_argument(
        "--window-size", type=_size, metavar="WxH", help="as 1080x1920 (default: the screen's)"
    )
    parser.add_argument("--scale", type=_scale, metavar="N", help="size of everything, 0.5 to 4")
    parser.add_argument(
        "--take-home",
        action="store_true",
        help="serve visitors' pictures to the LAN, on the address in the operator file",
    )
    parser.add_argument(
        "--page-timeout",
        type=_seconds,
        default=DEFAULT_PAGE_TIMEOUT,
        metavar="SECONDS",
        help="restart a browser whose page says nothing for so long (default: %(default)s)",
    )
    parser.add_argument(
        "--kiosk-port", type=_port, metavar="N", help="port of the server (default: any free one)"
    )
    parser.add_argument(
        "--debug-port",
        type=_port,
        metavar="N",
        help="for tests: whoever reaches this port of this machine drives the browser",
    )
    parser.add_argument("--hash-pin", action="store_true", help="ask for a PIN, print its pin_hash, and end")


def kiosk_options(args: argparse.Namespace) -> KioskOptions:
    """The options among the parsed `args`."""
    return KioskOptions(
        operator=args.operator,
        profile=args.profile,
        gpu=args.gpu,
        display=args.display,
        windowed=args.windowed,
        size=args.window_size,
        scale=args.scale,
        take_home=args.take_home,
        page_timeout=args.page_timeout,
        port=args.kiosk_port,
        debug_port=args.debug_port,
        verbose=args.verbose,
    )


def _size(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no WIDTHxHEIGHT")
    return int(match[1]), int(match[2])


def _scale(text: str) -> float:
    return _between(text, 0.5, 4)


def _seconds(text: str) -> float:
    return _between(text, 5, 3600)


def _between(text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is no number from {least} to {most}")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)
