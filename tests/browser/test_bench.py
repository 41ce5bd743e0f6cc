"""The benchmark in Chromium on SwiftShader: from the command line without any site, and as people see it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser_visits import DESKTOP, NO_ADAPTER, PHONE, visit
from playwright.sync_api import Browser, Page, expect
from server.raw_http import ROOT

RUN_TIMEOUT_S = 240
ROW_TIMEOUT_MS = 120_000
VIEWS = [
    (name, size, scheme)
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]


def test_the_command_line_measures_without_a_model(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    arguments = ["--site", tmp_path / "none", "--json", output, "--adapter", "software", "--quick"]
    command = [sys.executable, str(ROOT / "serve.py"), "bench", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads(output.read_text())
    assert (result["schema"], result["kind"]) == (1, "kleinbild-bench")
    assert re.fullmatch(r"[0-9a-f]{12}", result["build"])
    assert result["machine"]["adapter"]["fallback"] is True
    assert result["machine"]["browser"]
    assert result["host"]["system"]
    rows: list[dict[str, Any]] = result["rows"]
    assert [row for row in rows if "error" in row] == []
    groups = {row["group"] for row in rows}
    assert groups == {"peak", "start", "kernel", "stage", "picture", "memory", "page"}
    for row in rows:
        if "tflops" in row:
            assert row["tflops"] == pytest.approx(row["flops"] / row["seconds"] / 1e12)
        if "percent" in row:
            assert row["percent"] == pytest.approx(100 * row["tflops"] / result["peak"]["tflops"])
        assert row["name"] in run.stdout


def look(page: Page, shots: Path, state: str) -> None:
    """Screenshots of every view; none may scroll sideways."""
    for name, size, scheme in VIEWS:
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=shots / f"bench-{state}-{name}-{scheme}.png", full_page=True)
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0, f"{state}, {name}: {overflow} pixels wider than the screen"
    page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})


def test_people_start_cancel_and_copy(browser: Browser, url: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("KLEINBILD_SHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with visit(browser, url) as one:
        page = one.open()
        page.get_by_role("link", name="Benchmark").click()
        expect(page).to_have_url(f"{url}/bench.html")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        start, cancel = page.locator("#bench-start"), page.locator("#bench-cancel")
        expect(start).to_be_enabled()
        look(page, shots, "idle")

        page.locator("#bench-quick").check()
        start.click()
        expect(page.get_by_role("rowheader", name="fma f32")).to_be_visible(timeout=ROW_TIMEOUT_MS)
        look(page, shots, "running")
        cancel.click()
        expect(start).to_be_visible()
        expect(cancel).to_be_hidden()
        expect(page.locator("#bench-failure")).to_be_hidden()
        expect(page.locator("#bench-copy")).to_be_hidden()

        start.click()
        copy = page.locator("#bench-copy")
        expect(copy).to_be_visible(timeout=ROW_TIMEOUT_MS)
        look(page, shots, "done")
        copy.click()
        expect(copy).to_have_text("Copied")
        result = json.loads(page.evaluate("navigator.clipboard.readText()"))
        assert page.locator("#bench-table tbody tr").count() == len(result["rows"]) + len(
            {row["group"] for row in result["rows"]}
        )
        assert one.weight_paths == []
        page.get_by_role("link", name="Back to the pictures").click()
        expect(page).to_have_url(f"{url}/")


def test_a_browser_without_a_gpu_is_told_what_to_do(browser: Browser, url: str) -> None:
    with visit(browser, url, script=NO_ADAPTER) as one:
        one.page.goto(f"{url}/bench.html")
        expect(one.page.locator("#bench-failure")).to_contain_text("The browser found no GPU it can use")
        one.page.evaluate("""localStorage.setItem("kleinbild.language", '"ar"')""")
        one.page.reload()
        expect(one.page.locator("html")).to_have_attribute("dir", "rtl")
        expect(one.page.locator("#bench-start")).to_have_text("ابدأ الاختبار")
        expect(one.page.locator("#bench-failure")).to_contain_text("لم يجد المتصفح معالج رسوم")
