"""Fills the English words into a rendered page, so that its first paint is complete without any script.

`data-t="key"` on an empty element gets the text as its content, `data-t-attr="name:key;..."` adds attributes,
and `data-t-values='{"name": "value"}'` fills the holes of both. All three stay: the page's scripts
read them to change the language. Only positions are found here; all else is passed on byte for byte.
"""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser

from kleinbild.errors import KleinbildError
from kleinbild.package.catalogues import Catalogue

_HOLE = re.compile(r"\{(\w+)\}")
_ATTRIBUTE = re.compile(r"[a-z][a-z-]*")


def fill_page(html: str, catalogue: Catalogue) -> str:
    """`html` with the words of `catalogue` in it.

    Raises KleinbildError for an unknown key, a hole without value, or an element with words of its own.
    """
    finder = _Finder(html, catalogue)
    finder.feed(html)
    finder.close()
    parts, last = [], 0
    for position, text in finder.insertions:
        parts += [html[last:position], text]
        last = position
    return "".join([*parts, html[last:]])


class _Finder(HTMLParser):
    """Collects what to insert where, in order."""

    def __init__(self, html: str, catalogue: Catalogue) -> None:
        super().__init__(convert_charrefs=False)
        self.html = html
        self.catalogue = catalogue
        self.insertions: list[tuple[int, str]] = []
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", html))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if "data-t" not in named and "data-t-attr" not in named:
            return
        source = self.get_starttag_text() or ""
        line, column = self.getpos()
        end = self.line_starts[line - 1] + column + len(source)
        values = self._values(named.get("data-t-values", "{}"))
        for pair in filter(None, named.get("data-t-attr", "").split(";")):
            name, _, key = pair.strip().partition(":")
            if not _ATTRIBUTE.fullmatch(name) or name in named:
                raise KleinbildError(f"<{tag} data-t-attr={pair!r}>: not the name of an attribute to add")
            at = end - (2 if source.endswith("/>") else 1)
            self.insertions.append((at, f' {name}="{escape(self._text(key, values))}"'))
        if "data-t" in named:
            if not self.html.startswith(f"</{tag}>", end):
                raise KleinbildError(
                    f'<{tag} data-t="{named["data-t"]}">: must be empty; its words are filled in'
                )
            self.insertions.append((end, escape(self._text(named["data-t"], values), quote=False)))

    def _text(self, key: str, values: dict[str, str]) -> str:
        def value(hole: re.Match[str]) -> str:
            if hole[1] not in values:
                raise KleinbildError(f"{key}: the page gives no value for the hole {hole[0]}")
            return values[hole[1]]

        return _HOLE.sub(value, self.catalogue.plain(key))

    @staticmethod
    def _values(text: str) -> dict[str, str]:
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise KleinbildError(f"data-t-values={text!r}: expected a JSON object")
        return {name: str(value) for name, value in values.items()}
