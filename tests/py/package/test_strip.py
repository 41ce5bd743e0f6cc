"""Scripts and styles without comments and white space: what only looks like them; and nothing changes."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from kleinbild.package.shell import OTHER_PAGES_STYLES, VIEWS
from kleinbild.package.strip import strip_css, strip_javascript

PROJECT = Path(__file__).parents[3]
SCRIPTS = PROJECT / "src_js"
MAX_COMPRESSED_BYTES = 200_000
NEEDED = re.compile(r'(?:from|import)\s*\(?\s*"(\.[^"]+\.js)"|new URL\("(\.[^"]+\.js)"')
# TypeScript parses both versions of every script: equal trees with equal leaves are equal programs.
SAME = """
import { readFileSync } from "node:fs";
import ts from "typescript";
const tree = (text) => {
  const file = ts.createSourceFile("a.js", text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  if (file.parseDiagnostics.length > 0) throw new Error(file.parseDiagnostics[0].messageText);
  const shape = (node) => {
    const inner = [];
    ts.forEachChild(node, (child) => void inner.push(shape(child)));
    const text = node.kind < ts.SyntaxKind.FirstNode ? node.getText(file) : "";
    return [node.kind, node.flags & ts.NodeFlags.BlockScoped, node.operator ?? "", text, inner];
  };
  return JSON.stringify(shape(file));
};
const different = [];
for (const [name, before, after] of JSON.parse(readFileSync(0, "utf8"))) {
  if (tree(before) !== tree(after)) different.push(name);
}
console.log(JSON.stringify(different));
"""


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a; // b\nc", "a;c"),
        ("a // b\nc", "a\nc"),
        ("/** a\n * b\n */\nc\n", "c"),
        ("a /* b */ = c", "a=c"),
        ("return /* b */ c", "return c"),
        ("a/* b\n */c", "a\nc"),
        ("'// a  ' + \"/* b */\" // c", "'// a  '+\"/* b */\""),
        (r"'\'// a' // b", r"'\'// a'"),
        ("`// ${ a /* b */ + `/*  ${'}'} */` } //` // c", "`// ${a+`/*  ${'}'} */`} //`"),
        (r"`\`// a` // b", r"`\`// a`"),
        ("x = /[/*]\\/\\*/.test(y) // a", "x=/[/*]\\/\\*/.test(y)"),
        ("x = a / b / c // d", "x=a/b/c"),
        ("return /'/g // a", "return/'/g"),
        ("f({ a: 1 }, /`/) // b", "f({a:1},/`/)"),
        ("/a/ in b", "/a/ in b"),
        ("a / /b/", "a/ /b/"),
        ("a + +b - -c + -d", "a+ +b- -c+-d"),
        ("a++ + b", "a++ +b"),
        ("1 .toFixed() + a .b", "1 .toFixed()+a.b"),
        ("a ? .5 : b", "a?.5:b"),
        ("static #a = 1", "static#a=1"),
        ("$`{`", "$`{`"),
        ("a {\n  b;\n\tc\n}\nd", "a{b;c}\nd"),
        ("a = b\n(c)", "a=b\n(c)"),
        ("return\na", "return\na"),
        ("a\n++b", "a\n++b"),
        ("a\n  .b()\n  ?.c", "a.b()?.c"),
        ("1\n.a", "1\n.a"),
        ("a ?\n b :\n c", "a?b:c"),
        ("  `a\n  ${ b +\n  c }\n  d`", "`a\n  ${b+\nc}\n  d`"),
    ],
)
def test_white_space_and_comments_and_what_looks_like_them(text: str, stripped: str) -> None:
    assert strip_javascript(text) == stripped


@pytest.mark.parametrize("text", ["`a", "'a\n", "`${a}", '"'])
def test_what_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not end"):
        strip_javascript(text)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("/* a\n b */\np { color: red; } /* c */", "p{color:red}"),
        ("p {\n  color: red;\n  /* d */\n}\n\na,\nb { }", "p{color:red}a,b{}"),
        ('a :hover, a:not( .b ) { c: "d  ; e"; }', 'a :hover,a:not(.b){c:"d  ; e"}'),
        (
            "@media (a) and (b: 1px) { c { d: calc(1px + (2px - 1px)); } }",
            "@media (a) and (b:1px){c{d:calc(1px + (2px - 1px))}}",
        ),
        ("a { b: '\\' /* ; }' }", "a{b:'\\' /* ; }'}"),
    ],
)
def test_style_sheets_lose_their_comments_and_white_space(text: str, stripped: str) -> None:
    assert strip_css(text) == stripped


def test_the_pages_scripts_stay_the_same_programs() -> None:
    triples = []
    for path in sorted(SCRIPTS.rglob("*.js")):
        before = path.read_text(encoding="utf-8")
        triples.append((path.name, before, strip_javascript(before)))
    spoilt = ("spoilt", "return\na", "return a")
    triples.append(spoilt)
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
    assert json.loads(result.stdout) == [spoilt[0]]


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
