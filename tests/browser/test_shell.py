"""The page around its views: languages, directions, addresses, and what of it is remembered."""

from __future__ import annotations

from pathlib import Path

from browser_visits import DESKTOP, PHONE, speak, visit
from playwright.sync_api import Browser, Page, expect

from kleinbild.package.strip import strip_css

STYLES = Path(__file__).parents[2] / "site" / "css"
# What the browser makes of a style sheet, rule by rule.
RULES = """(text) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return [...sheet.cssRules].map((rule) => rule.cssText.replaceAll(/\\s+/g, " ").replaceAll(", ", ","));
}"""


def test_shipped_style_sheets_say_what_was_written(page: Page) -> None:
    for path in STYLES.glob("*.css"):
        written = path.read_text(encoding="utf-8")
        rules = page.evaluate(RULES, written)
        assert len(rules) > 3
        assert page.evaluate(RULES, strip_css(written)) == rules, path.name


def test_the_language_changes_at_once_and_is_remembered(browser: Browser, url: str) -> None:
    with visit(browser, url) as one:
        page = one.open()
        page.fill("#width", "500")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page).to_have_title("Make – Kleinbild")
        speak(page, "de")
        expect(page.locator("#make-title")).to_have_text("Ein Bild machen")
        expect(page.locator("#width-message")).to_have_text(
            "Breite und Höhe sind Vielfache von 16: Aus 500 wird 496."
        )
        for size, rows in ((DESKTOP, 1), (PHONE, 2)):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            name, menu, last = (
                page.locator(one).bounding_box()
                for one in (".masthead__name", "#language", "[data-link=diagnosis]")
            )
            assert name and menu and last
            assert abs(name["y"] + name["height"] / 2 - menu["y"] - menu["height"] / 2) < 5
            assert last["y"] + last["height"] <= rows * menu["height"] + 40, (
                "no wider than the screen in German"
            )
        page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})
        expect(page).to_have_title("Bild machen – Kleinbild")
        speak(page, "ar")
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        for size in (DESKTOP, PHONE):
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide == 0
        masthead = page.locator(".masthead__name").bounding_box()
        assert masthead is not None and masthead["x"] > PHONE["width"] / 2, "the name stands at the right"
        page.reload()
        one.settle()
        expect(page.locator("#make-title")).to_have_text("إنشاء صورة")
        assert one.complaints == []


def test_the_browsers_language_is_the_first(browser: Browser, url: str) -> None:
    with visit(browser, url, locale="de-AT") as one:
        page = one.open()
        expect(page.locator("html")).to_have_attribute("lang", "de")
        assert page.input_value("#language") == "de"


def test_addresses_that_name_no_view_show_the_first(browser: Browser, url: str) -> None:
    with visit(browser, f"{url}/#/nothing?prompt=x") as one:
        page = one.open()
        expect(page.locator("#view-make")).to_be_visible()
        expect(page.locator("[data-link=make]")).to_have_attribute("aria-current", "page")
        page.keyboard.press("Tab")
        expect(page.locator("#skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        expect(page.locator("#view-make")).to_be_visible()
        assert one.complaints == []
