"""The screenshots of the web app manifest, taken of the real page with the model that comes with the project.

    python tests/tools/store_screenshots.py

Writes site/icons/screenshot-wide.webp and screenshot-narrow.webp. Run it when the page looks different;
nothing else needs it.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "py"))

from browser_visits import FLAGS, PICTURE_TIMEOUT_MS, visit  # noqa: E402
from server.raw_http import running_server  # noqa: E402

SHOTS = {"wide": ((1280, 800), "light"), "narrow": ((390, 844), "dark")}
QUALITY = 75
MOST_BYTES = 75_000
SETTINGS = {
    "#prompt": "Patterns of colour",
    "#width": "128",
    "#height": "128",
    "#steps": "1",
    "#seed": "7",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "dist"
        subprocess.run([sys.executable, ROOT / "build.py", "site", "tiny", "--out", site], check=True)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        with running_server(site) as server, visit(browser, f"http://{server.authority}") as one:
            page = one.open()
            for field, value in SETTINGS.items():
                page.fill(field, value)
            page.click("#make")
            page.wait_for_selector("#download:visible", timeout=PICTURE_TIMEOUT_MS)
            page.evaluate("document.querySelector('#notice')?.remove(); document.activeElement?.blur()")
            for name, (size, scheme) in SHOTS.items():
                take(page, ROOT / "site" / "icons" / f"screenshot-{name}.webp", size, dark=scheme == "dark")
        browser.close()


def take(page: Page, path: Path, size: tuple[int, int], *, dark: bool) -> None:
    """One screenshot, as a WebP."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(path, quality=QUALITY, method=6)
    bytes_written = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {bytes_written} bytes")
    if bytes_written > MOST_BYTES:
        sys.exit(f"{path}: more than {MOST_BYTES} bytes; lower the quality")


if __name__ == "__main__":
    main()
