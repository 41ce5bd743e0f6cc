"""The page's shell: what is copied, what is rendered, and a build id that changes with any of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from manifest_double import MANIFEST

from kleinbild import __version__
from kleinbild.errors import KleinbildError
from kleinbild.package.manifest import Manifest
from kleinbild.package.shell import ShellSource, write_shell

SHELL = {
    "site/index.html.j2": "{{ model.name }}|{{ model.id }}|{{ model.weights }}|{{ base }}|{{ version }}\n"
    '<script type="application/json">{{ {"manifest": manifest_path, "build": build} | tojson }}</script>\n'
    "{{ views | join(' ') }}|{{ styles | join(' ') }}|{{ languages | map(attribute='name') | join(' ') }}\n"
    '{% for view in views %}{% include "views/" ~ view ~ ".html.j2" %}{% endfor %}\n',
    "site/views/gallery.html.j2": "<h1 data-t='gallery.title'></h1>",
    "site/views/make.html.j2": "<h1>{{ model.id }}</h1>",
    "site/i18n/en/shell.json": '{"shell.language_name": "English"}',
    "site/i18n/de/shell.json": '{"shell.language_name": "Deutsch"}',
    "site/i18n/en/gallery.json": '{"gallery.title": "Pictures & more"}',
    "site/bench.html.j2": "{{ base }} {{ build }}\n",
    "site/kiosk.html.j2": "{{ base }} {{ build }}\n",
    "site/sw.js.j2": "const FILES = {{ files | tojson }};\n",
    "site/app.webmanifest.j2": '{"name": "Kleinbild"}\n',
    "site/css/bench.css": "table {}",
    "site/css/gallery.css": "ul {}",
    "site/css/film.css": "img {}",
    "site/css/page.css": "body {}",
    "site/icons/icon.svg": "<svg/>",
    "src_js/app/main.js": "main",
    "src_js/kernels/linear.wgsl": "kernel",
    "src_js/app/.main.js.swp": "editor's",
    "src_js/README.md": "words",
}


@pytest.fixture
def source(tmp_path: Path) -> ShellSource:
    for name, text in SHELL.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ShellSource(tmp_path / "source" / "site", tmp_path / "source" / "src_js")


def write(source: ShellSource, root: Path, manifest: Manifest = MANIFEST) -> str:
    shutil.rmtree(root, ignore_errors=True)
    return write_shell(source, root, [manifest])


def test_files_are_where_the_contract_says(source: ShellSource, tmp_path: Path) -> None:
    root = tmp_path / "dist"
    build = write(source, root)
    assert {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} == {
        "index.html",
        "bench.html",
        "kiosk.html",
        "sw.js",
        "app.webmanifest",
        "icons/icon.svg",
        f"v/{build}/css/bench.css",
        f"v/{build}/css/film.css",
        f"v/{build}/css/gallery.css",
        f"v/{build}/css/page.css",
        f"v/{build}/files.json",
        f"v/{build}/i18n/de.json",
        f"v/{build}/i18n/en.json",
        f"v/{build}/src_js/app/main.js",
        f"v/{build}/src_js/kernels/linear.wgsl",
    }
    assert (root / "v" / build / "src_js" / "app" / "main.js").read_text() == "main"


def test_templates_get_their_variables(source: ShellSource, tmp_path: Path) -> None:
    build = write(source, tmp_path / "dist")
    line, script, lists, views, _ = (tmp_path / "dist" / "index.html").read_text().split("\n")
    assert line == f"M &#34;&lt;&amp;&gt;|m-q4-0|q4|/v/{build}|{__version__}"
    facts = json.loads(script.removeprefix('<script type="application/json">').removesuffix("</script>"))
    assert facts == {"manifest": "/models/m-q4-0.json", "build": build}
    assert lists == "make gallery|page.css film.css gallery.css|English Deutsch"
    assert views == "<h1>m-q4-0</h1><h1 data-t='gallery.title'>Pictures &amp; more</h1>"
    listed = (tmp_path / "dist" / "sw.js").read_text().removeprefix("const FILES = ").removesuffix(";\n")
    assert json.loads(listed) == [
        "/",
        "/app.webmanifest",
        "/bench.html",
        "/icons/icon.svg",
        "/kiosk.html",
        "/sw.js",
        f"/v/{build}/css/bench.css",
        f"/v/{build}/css/film.css",
        f"/v/{build}/css/gallery.css",
        f"/v/{build}/css/page.css",
        f"/v/{build}/files.json",
        f"/v/{build}/i18n/de.json",
        f"/v/{build}/i18n/en.json",
        f"/v/{build}/src_js/app/main.js",
        f"/v/{build}/src_js/kernels/linear.wgsl",
        "/models/m-q4-0.json",
        "/models/index.json",
    ]
    shell = json.loads((tmp_path / "dist" / "v" / build / "files.json").read_text())
    assert json.loads(listed)[:-2] == shell


def test_the_build_id_follows_the_content(source: ShellSource, tmp_path: Path) -> None:
    root = tmp_path / "dist"
    first = write(source, root)
    assert write(source, root) == first
    builds = {first, write(source, root, replace(MANIFEST, revision="1" * 64))}
    shipped = [name for name in SHELL if not name.endswith((".swp", ".md"))]
    for name in shipped:
        path = tmp_path / "source" / name
        text = path.read_text().replace("English", "english").replace("more", "MORE").replace("De", "de")
        path.write_text(text + ("\nx{}" if path.suffix in (".js", ".css") else " "))
        builds.add(write(source, root))
    assert len(builds) == len(shipped) + 2
    (tmp_path / "source" / "src_js" / "README.md").write_text("other words")
    assert write(source, root) in builds


@pytest.mark.parametrize("text", ["{{ unknown }}", "{{ model.unknown }}", "{% if %}", "{{"])
def test_templates_that_do_not_render_are_named(source: ShellSource, tmp_path: Path, text: str) -> None:
    (source.templates / "sw.js.j2").write_text(text)
    with pytest.raises(KleinbildError, match=r"sw\.js\.j2: "):
        write(source, tmp_path / "dist")


def test_an_incomplete_source_tree_is_refused(source: ShellSource) -> None:
    source.check()
    (source.templates / "index.html.j2").unlink()
    with pytest.raises(KleinbildError, match=r"index\.html\.j2: missing"):
        source.check()


def test_links_in_the_sources_are_refused(source: ShellSource, tmp_path: Path) -> None:
    (source.scripts / "evil.js").symlink_to("/etc/passwd")
    with pytest.raises(KleinbildError, match=r"evil\.js: neither a plain file nor a folder"):
        write(source, tmp_path / "dist")
