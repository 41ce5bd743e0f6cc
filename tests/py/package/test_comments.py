"""Scripts without comments: what is one, what only looks like one, and that the page's stay what they are."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from kleinbild.package.comments import strip_css, strip_javascript
from kleinbild.package.shell import OTHER_PAGES_STYLES, VIEWS

PROJECT = Path(__file__).parents[3]
SCRIPTS = PROJECT / "src_js"
MAX_COMPRESSED_BYTES = 200 * 1024
NEEDED = re.compile(r'(?:from|import)\s*\(?\s*"(\.[^"]+\.js)"|new URL\("(\.[^"]+\.js)"')
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
        ("a {\n  b;\n\tc;\n}", "a {\nb;\nc;\n}"),
        ("  `a\n  ${ b +\n  c }\n  d`", "  `a\n  ${ b +\nc }\n  d`"),
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
    assert strip_css("p {\n  color: red;\n}") == "p {\ncolor: red;\n}"


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


@pytest.mark.parametrize(
    ("scripts", "styles"),
    [
        (["app/main.js", *(f"app/{view}/index.js" for view in VIEWS), "worker/main.js"], OTHER_PAGES_STYLES),
        (["app/kiosk/index.js", "worker/main.js"], {"bench.css"}),
    ],
)
def test_everything_that_a_page_may_load_is_light(scripts: list[str], styles: frozenset[str]) -> None:
    """The page with all its views, and the kiosk's face, each with its workers."""
    total = sum(len(gzip.compress(strip_javascript(text).encode(), 9)) for text in _needed(scripts).values())
    for path in (PROJECT / "site" / "css").glob("*.css"):
        if path.name not in styles:
            total += len(gzip.compress(strip_css(path.read_text(encoding="utf-8")).encode(), 9))
    assert total < MAX_COMPRESSED_BYTES, f"{total} bytes"


def _needed(scripts: list[str]) -> dict[Path, str]:
    """The scripts and all that they import or start, but for what only a headless run loads."""
    found: dict[Path, str] = {}
    left = [SCRIPTS / script for script in scripts]
    while left:
        path = left.pop().resolve()
        if path in found or path.name == "headless.js":
            continue
        found[path] = path.read_text(encoding="utf-8")
        left += [
            path.parent / (match[1] or match[2]) for match in NEEDED.finditer(strip_javascript(found[path]))
        ]
    return found
