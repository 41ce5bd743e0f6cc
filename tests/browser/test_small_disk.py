"""A disk that is really full: a small file system under the browser's profile, too small for a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_visits import act, card, expect_failure, expect_outcome, stored
from playwright.sync_api import Browser, expect
from small_disk import small_disk, why_not

DISK_BYTES = 160 * 2**20
# What is left when the download begins: some of the model's parts, not all.
LEFT_BYTES = 2 * 2**20
MODEL_BYTES = """async () => {
  const { models } = await (await fetch("/models/index.json")).json();
  return models[0].bytes;
}"""
# Names of files whose bytes are not what their names promise.
DIGESTS = """async () => {
  let folder = await navigator.storage.getDirectory();
  for (const name of ["kleinbild", "weights"]) folder = await folder.getDirectoryHandle(name);
  const wrong = [];
  for await (const [name, handle] of folder.entries()) {
    const bytes = await (await handle.getFile()).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (!name.startsWith(hex)) wrong.push(name);
  }
  return wrong;
}"""


def test_a_full_disk_is_told_in_bytes_and_after_room_was_made_it_goes_on(
    browser: Browser, launch_flags: list[str], url: str, tmp_path: Path
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with small_disk(browser, launch_flags, tmp_path / "profile", DISK_BYTES) as disk:
        page = disk.page
        page.goto(f"{url}/#/models")
        expect(card(page)).to_be_visible()
        page.evaluate("navigator.serviceWorker.ready")  # its own files are here
        disk.fill(LEFT_BYTES)
        act(page, "install")
        panel = expect_failure(page, "There is no room left for the model")
        kept = stored(page)
        missing = page.evaluate(MODEL_BYTES) - sum(kept.values())
        assert missing > 0
        expect(panel.locator("li").first).to_have_text(
            f"Make room for {missing / 1e6:.1f} MB: so much of the model is still missing."
        )
        expect(panel).to_contain_text("Free disk space")
        expect(panel).to_contain_text(f"Still missing: {missing} bytes.")
        assert page.evaluate(DIGESTS) == []
        disk.empty()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        act(page, "install")
        expect_outcome(page, "is on this device.")
        assert page.evaluate(DIGESTS) == []
        assert kept.items() <= stored(page).items()
        assert not [url for url in requests if any(name.removesuffix(".bin") in url for name in kept)]
