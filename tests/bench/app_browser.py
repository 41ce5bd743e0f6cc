"""What benchmarks of the app share: options, and Chromium on the GPU, or on SwiftShader where there is none.

Importing it puts the helpers of the tests within reach.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "py")]

from browser_visits import COMMON_FLAGS  # noqa: E402

from kleinbild.server.generate.chromium import adapter_flags, find_chromium, has_gpu  # noqa: E402


def launch(playwright: Playwright, *more: str) -> Browser:
    """Chromium with the flags of the browser tests, but on the GPU where there is one, and `more` flags."""
    flags = [*COMMON_FLAGS, *adapter_flags(software=not has_gpu()), *more]
    return playwright.chromium.launch(executable_path=str(find_chromium(os.environ)), args=flags)


def options_of(description: str | None) -> argparse.ArgumentParser:
    """--site and --json; a benchmark adds its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--site", type=Path, default=ROOT / "dist")
    parser.add_argument("--json", type=Path)
    return parser


def add_pictures(parser: argparse.ArgumentParser, *, pictures: int, side: int, steps: int) -> None:
    """--pictures, --side and --steps with these defaults."""
    for name, value in (("pictures", pictures), ("side", side), ("steps", steps)):
        parser.add_argument(f"--{name}", type=int, default=value)


def write_result(path: Path | None, result: Any) -> None:
    """The result as JSON, if a file for it was named."""
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
