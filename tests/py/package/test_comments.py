"""Scripts without comments: what is one, what only looks like one, and that the page's stay what they are."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from kleinbild.package.comments import strip_css, strip_javascript

PROJECT = Path(__file__).parents[3]
SCRIPTS = PROJECT / "src_js"
MAX_COMPRESSED_BYTES = 200_000
# TypeScript prints both versions of every script without comments: equal text is an equal program.
SAME = """
import { readFileSync } from "node:fs";
import ts from "typescript";
const print = (text) => ts.createPrinter({ removeComments: true }).printFile(
  ts.createSourceFile("a.js", text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS));
const different = [];
for (const [name, before, after] of JSON.parse(readFileSync(0, "utf8"))) {
  if (print(before) !== print(after)) different.push(name);
}
console.log(JSON.stringify(different));
"""


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a; // b\nc", "a;\nc"),
        ("/** a\n * b\n */\nc", "\n\n\nc"),
        ("a /* b */ c", "a   c"),
        ("a/* b */\nc", "a\nc"),
        ("'// a' + \"/* b */\" // c", "'// a' + \"/* b */\""),
        (r"'\'// a' // b", r"'\'// a'"),
        ("`// ${ a /* b */ + `/* ${'}'} */` } //` // c", "`// ${ a   + `/* ${'}'} */` } //`"),
        (r"`\`// a` // b", r"`\`// a`"),
        ("x = /[/*]\\/\\*/.test(y) // a", "x = /[/*]\\/\\*/.test(y)"),
        ("x = a / b / c // d", "x = a / b / c"),
        ("return /'/g // a", "return /'/g"),
        ("f({ a: 1 }, /`/) // b", "f({ a: 1 }, /`/)"),
        ("$`{`", "$`{`"),
    ],
)
def test_comments_and_what_looks_like_them(text: str, stripped: str) -> None:
    assert strip_javascript(text) == stripped


@pytest.mark.parametrize("text", ["`a", "'a\n", "`${a}", '"'])
def test_what_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not end"):
        strip_javascript(text)


def test_style_sheets_lose_their_comments() -> None:
    assert strip_css("/* a\n b */\np { color: red; } /* c */") == "\n\np { color: red; } "


def test_the_pages_scripts_stay_the_same_programs() -> None:
    files = sorted(SCRIPTS.rglob("*.js"))
    triples = []
    for path in files:
        before = path.read_text(encoding="utf-8")
        after = strip_javascript(before)
        assert after.count("\n") == before.count("\n"), path
        triples.append((path.name, before, after))
    result = subprocess.run(
        ["node", "--input-type=module", "-e", SAME],
        input=json.dumps(triples),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []


def test_all_scripts_and_styles_are_light() -> None:
    """Of the page, its worker and its kiosk face; the benchmark is a page of its own."""
    total = 0
    for path in [*sorted(SCRIPTS.rglob("*.js")), *sorted((PROJECT / "site" / "css").glob("*.css"))]:
        if "bench" in path.relative_to(PROJECT).as_posix():
            continue
        text = path.read_text(encoding="utf-8")
        text = strip_javascript(text) if path.suffix == ".js" else strip_css(text)
        total += len(gzip.compress(text.encode(), 9))
    assert total < MAX_COMPRESSED_BYTES, f"{total} bytes"
