"""Filling words into a page: where they go, how they are escaped, and what is refused."""

from __future__ import annotations

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.package.catalogues import Catalogue
from kleinbild.package.markup import fill_page

ENGLISH = Catalogue(
    "en", {"a.b": 'Tom & "Jerry" <3', "a.n": "{n} of {all}", "a.many": {"one": "", "other": ""}}
)


def test_text_and_attributes_are_filled_in_escaped() -> None:
    page = (
        '<!doctype html>\n<p data-t="a.b" class=x></p>\n'
        '<input data-t-attr="title:a.b; aria-label:a.b"/> &amp; <b>x</b>\n'
    )
    assert fill_page(page, ENGLISH) == (
        '<!doctype html>\n<p data-t="a.b" class=x>Tom &amp; "Jerry" &lt;3</p>\n'
        '<input data-t-attr="title:a.b; aria-label:a.b" title="Tom &amp; &quot;Jerry&quot; &lt;3"'
        ' aria-label="Tom &amp; &quot;Jerry&quot; &lt;3"/> &amp; <b>x</b>\n'
    )


def test_holes_get_the_pages_values() -> None:
    page = """<p data-t="a.n" data-t-values='{"n": 3, "all": "<b>"}'></p>"""
    assert ">3 of &lt;b&gt;</p>" in fill_page(page, ENGLISH)


def test_scripts_and_pages_without_keys_stay_byte_for_byte() -> None:
    page = (
        '<script type="application/json">{"a": "<p data-t=\\"x\\"></p>"}</script>\r\n'
        '<p>é &nbsp;</p><!-- <p data-t="x"> -->'
    )
    assert fill_page(page, ENGLISH) == page


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ('<p data-t="a.c"></p>', "'a.c' is no plain text"),
        ('<p data-t="a.many"></p>', "'a.many' is no plain text"),
        ('<p data-t="a.b">words</p>', "must be empty"),
        ('<p data-t="a.b"><b></b></p>', "must be empty"),
        ('<p data-t="a.n"></p>', r"no value for the hole \{n\}"),
        ('<p data-t="a.n" data-t-values="[1]"></p>', "expected a JSON object"),
        ('<p data-t-attr="title"></p>', "is no plain text"),
        ('<p data-t-attr="on click:a.b"></p>', "not the name of an attribute"),
        ('<p title="x" data-t-attr="title:a.b"></p>', "not the name of an attribute to add"),
    ],
)
def test_mistakes_are_refused(page: str, reason: str) -> None:
    with pytest.raises(KleinbildError, match=reason):
        fill_page(page, ENGLISH)
