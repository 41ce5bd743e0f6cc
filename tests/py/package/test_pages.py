"""The project's own pages as they are rendered: whole, and without a stray word."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from manifest_double import MANIFEST

from kleinbild.package.shell import ShellSource, write_shell

PAGES = ("index.html", "bench.html", "kiosk.html")
VOID = {"br", "hr", "img", "input", "link", "meta", "source"}
# What only holds other elements: a word that stands in one of them belongs to nothing.
HOLDERS = {
    *("html", "head", "body", "header", "nav", "aside", "main", "footer", "section", "article", "form"),
    *("fieldset", "ul", "ol", "dl", "table", "thead", "tbody", "tr", "select", "svg"),
}
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "list", "form", "popovertarget")


class Page(HTMLParser):
    """What a page's markup says, and what is wrong with it."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.referred: set[str] = set()
        self.faults: list[str] = []
        self.feed(markup)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"line {self.getpos()[0]}: <{tag}> has an attribute twice")
        for name, value in attrs:
            if name == "id" and value:
                self.ids[value] += 1
            elif name in REFERENCES and value:
                self.referred.update(value.split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if data.strip() and (not self.open or self.open[-1] in HOLDERS):
            self.faults.append(f"line {self.getpos()[0]}: {data.strip()!r} stands in no element of its own")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages."""
    root = tmp_path_factory.mktemp("dist")
    write_shell(ShellSource(), root, [MANIFEST])
    return root


@pytest.mark.parametrize("name", PAGES)
def test_markup_is_whole_and_says_nothing_by_the_way(pages: Path, name: str) -> None:
    page = Page((pages / name).read_text(encoding="utf-8"))
    assert page.faults == []
    assert [one for one, count in page.ids.items() if count > 1] == []
    assert page.referred - page.ids.keys() == set()


@pytest.mark.parametrize(
    "fault",
    ["<main>word</main>", "<main><p></main>", "<p></p></p>", "<p><b>", '<p class="a" class="b"></p>'],
)
def test_the_parser_sees_faults(fault: str) -> None:
    assert Page(fault).faults != []
