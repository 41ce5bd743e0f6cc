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

from browser_visits import FLAGS, PICTURE_TIMEOUT_MS, WHOLE_MODEL, visit  # noqa: E402
from server.raw_http import running_server  # noqa: E402

# What speaks of Mini and of the time that this machine takes without a GPU is nothing to a store's visitors.
TIDY = """() => {
  document.activeElement?.blur();
  document.getElementById("notice").remove();
  for (const time of document.querySelectorAll(".format__time")) time.textContent = "";
  const needs = document.getElementById("memory-needs");
  needs.textContent = needs.textContent.replace(/ Takes .*/, "");
  const facts = document.querySelector(".caption__facts");
  facts.textContent = facts.textContent.split("\u00b7").slice(0, -1).join("\u00b7");
}"""
# The wide one shows the form with its picture, the narrow one what stands below the form.
SHOTS = {"wide": ((1280, 800), "light"), "narrow": ((390, 844), "dark")}
QUALITY = 75
MOST_BYTES = 75_000
# Made in this order, the last one shown large, those before it on the roll; (prompt, side in pixels, seed).
PICTURES = (
    ("a small yellow star to the left of a large blue square on a white background", 128, 9),
    ("a red house with a green roof and a yellow door on a green meadow under a light blue sky", 128, 3),
    ("grey mountains with snow on top behind a green meadow under a pink sky", 128, 10),
    ("a happy yellow face on a light blue background", 128, 11),
    ("a pink flower with a yellow middle on a green meadow under a light blue sky", 128, 8),
    ("a red sailing boat with white sails on the blue sea under a light blue sky with the sun", 256, 7),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "dist"
        subprocess.run([sys.executable, ROOT / "build.py", "site", "mini", "--out", site], check=True)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        with running_server(site) as server, visit(browser, f"http://{server.authority}") as one:
            page = one.open()
            for number, picture in enumerate(PICTURES, 1):
                make(page, *picture)
                page.wait_for_selector(f"#roll-list > li:nth-child({number})", timeout=PICTURE_TIMEOUT_MS)
            page.wait_for_selector(f"#background:has-text('{WHOLE_MODEL}')", timeout=PICTURE_TIMEOUT_MS)
            page.evaluate(TIDY)
            for name, (size, scheme) in SHOTS.items():
                take(page, ROOT / "site" / "icons" / f"screenshot-{name}.webp", size, dark=scheme == "dark")
        browser.close()


def make(page: Page, prompt: str, side: int, seed: int) -> None:
    """Asks for a picture."""
    page.wait_for_selector("#make:enabled")
    for field, value in (("prompt", prompt), ("width", side), ("height", side), ("seed", seed)):
        page.fill(f"#{field}", str(value))
    page.click("#make")


def take(page: Page, path: Path, size: tuple[int, int], *, dark: bool) -> None:
    """One screenshot, as a WebP."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.evaluate("(dark) => document.querySelector(dark ? '#frame' : 'body').scrollIntoView()", dark)
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(path, quality=QUALITY, method=6)
    bytes_written = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {bytes_written} bytes")
    if bytes_written > MOST_BYTES:
        sys.exit(f"{path}: more than {MOST_BYTES} bytes; lower the quality")


if __name__ == "__main__":
    main()
