"""The page itself: templates rendered, scripts, styles and icons copied, all below one build id.

The page's views are the files of views/: one that is added is included, as are its words and its styles.
The build id is a digest of everything that the shell is made from, the models' revisions included, so files
below /v/<build id>/ never change and the service worker changes whenever anything that it serves does.
Nothing here reads a weight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from kleinbild import __version__
from kleinbild.errors import KleinbildError
from kleinbild.package.catalogues import FALLBACK, Catalogue, read_catalogues
from kleinbild.package.files import files_below, read_bytes, write_bytes
from kleinbild.package.manifest import Manifest
from kleinbild.package.markup import fill_page
from kleinbild.package.model_index import INDEX, manifest_path
from kleinbild.package.schedule import PAGE_SIZES
from kleinbild.package.strip import strip_css, strip_javascript

PROJECT = Path(__file__).resolve().parents[2]
BENCH_PAGE = "bench.html"
KIOSK_PAGE = "kiosk.html"
# Below /v/<build>/: the paths of the whole shell, for a page that copies itself into a folder.
FILE_LIST = "files.json"
TEMPLATES = ("index.html", BENCH_PAGE, KIOSK_PAGE, "sw.js", "app.webmanifest")
VIEWS = ("make", "gallery", "models", "diagnosis")
"""Every view that there may be, in the order of the navigation; those with a template are on the page."""
FIRST_STYLES = ("theme.css", "page.css")
OTHER_PAGES_STYLES = frozenset({"bench.css", "kiosk.css", "kiosk_making.css", "kiosk_dialogs.css"})
SHIPPED_SUFFIXES = {".js", ".wgsl", ".css", ".svg", ".png", ".webp", ".ico", ".woff2", ".json"}
MAX_SHELL_FILE_BYTES = 16 * 1024 * 1024
BUILD_ID_CHARACTERS = 12


@dataclass(frozen=True)
class ShellSource:
    """Where the shell comes from: the folder of templates, css/ and icons/, and the folder of scripts."""

    templates: Path = PROJECT / "site"
    scripts: Path = PROJECT / "src_js"

    def check(self) -> None:
        """Raises KleinbildError when something that every page needs is missing."""
        for path in (*(self.templates / f"{name}.j2" for name in TEMPLATES), self.scripts):
            if not path.exists():
                raise KleinbildError(f"{path}: missing; run build.py from a whole source tree")

    def views(self) -> list[str]:
        """The names of the views, in the order of the navigation.

        Raises KleinbildError for a template without a place in that order.
        """
        found = {path.name.removesuffix(".html.j2") for path in (self.templates / "views").glob("*.j2")}
        if unknown := sorted(found - set(VIEWS)):
            raise KleinbildError(f"{self.templates / 'views' / unknown[0]}: give the view a place in VIEWS")
        return [name for name in VIEWS if name in found]

    def styles(self) -> list[str]:
        """The style sheets of index.html below css/, in the order in which they apply."""
        found = {path.name for path in (self.templates / "css").glob("*.css")} - OTHER_PAGES_STYLES
        first = [name for name in FIRST_STYLES if name in found]
        return [*first, *sorted(found - set(first))]


def write_shell(source: ShellSource, root: Path, manifests: Sequence[Manifest]) -> str:
    """Writes the shell for the models of `manifests`, the page's default first; returns the build id.

    Raises KleinbildError when a template does not render.
    """
    manifest = manifests[0]
    catalogues = read_catalogues(source.templates / "i18n")
    revisions = "\n".join(model.revision for model in manifests)
    build, urls = _write_files(source, root, catalogues, revisions)
    default_path = f"/{manifest_path(manifest.id)}"
    pages = ("/app.webmanifest", f"/{BENCH_PAGE}", f"/{KIOSK_PAGE}", "/sw.js")
    shell = ["/", *sorted([*urls, *pages, f"/v/{build}/{FILE_LIST}"])]
    write_bytes(root / "v" / build / FILE_LIST, (json.dumps(shell, indent=0) + "\n").encode())
    variables = {
        "build": build,
        "base": f"/v/{build}",
        "model": {
            "id": manifest.id,
            "name": manifest.name,
            "notice": manifest.notice,
            "weights": manifest.weights,
            "examples": manifest.examples,
            "sizes": manifest.sizes or PAGE_SIZES,
        },
        "manifest_path": default_path,
        "views": source.views(),
        "styles": source.styles(),
        "languages": catalogues,
        "files": [*shell, default_path, f"/{INDEX}"],
    }
    _render(source, root, TEMPLATES, catalogues, variables)
    return build


def write_bench_page(source: ShellSource, root: Path) -> str:
    """Writes the benchmark's page alone below `root`: it needs no model. Returns the build id.

    Raises KleinbildError when something is missing or does not render.
    """
    source.check()
    catalogues = read_catalogues(source.templates / "i18n")
    build, _ = _write_files(source, root, catalogues, "")
    variables = {"build": build, "base": f"/v/{build}", "languages": catalogues}
    _render(source, root, (BENCH_PAGE,), catalogues, variables)
    return build


def _write_files(
    source: ShellSource, root: Path, catalogues: list[Catalogue], revisions: str
) -> tuple[str, list[str]]:
    """Writes all but what templates render to; returns the build id and the paths on the site."""
    versioned = _read_tree(source.scripts, "src_js") | _read_tree(source.templates / "css", "css")
    versioned |= {f"i18n/{catalogue.language}.json": catalogue.json() for catalogue in catalogues}
    icons = _read_tree(source.templates / "icons", "icons")
    templates = {
        name: read_bytes(source.templates / name, MAX_SHELL_FILE_BYTES)
        for name in [f"{name}.j2" for name in TEMPLATES]
        + [f"views/{view}.html.j2" for view in source.views()]
    }
    build = _build_id({**versioned, **icons, **templates}, revisions)
    files = {f"v/{build}/{name}": data for name, data in versioned.items()} | icons
    for name, data in files.items():
        write_bytes(root / name, data)
    return build, [f"/{name}" for name in files]


def _render(
    source: ShellSource,
    root: Path,
    names: tuple[str, ...],
    catalogues: list[Catalogue],
    variables: Mapping[str, object],
) -> None:
    environment = Environment(
        loader=FileSystemLoader(source.templates),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    english = next(one for one in catalogues if one.language == FALLBACK)
    for name in names:
        where = source.templates / f"{name}.j2"
        try:
            text = environment.get_template(f"{name}.j2").render({"version": __version__, **variables})
            filled = fill_page(text, english) if name.endswith(".html") else text
        except (TemplateError, KleinbildError) as error:
            raise KleinbildError(f"{where}: {error}") from error
        write_bytes(root / name, filled.encode())


def _read_tree(folder: Path, prefix: str) -> dict[str, bytes]:
    """prefix/relative path -> bytes of every file below `folder` that a page may load, in order of path."""
    if not folder.is_dir():
        return {}
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}": _read_shipped(path)
        for path in files_below(folder)
        if path.suffix in SHIPPED_SUFFIXES and not path.name.startswith(".")
    }


def _read_shipped(path: Path) -> bytes:
    """The file as it is shipped: scripts and style sheets without their comments."""
    data = read_bytes(path, MAX_SHELL_FILE_BYTES)
    strip = {".js": strip_javascript, ".css": strip_css}.get(path.suffix)
    if strip is None:
        return data
    try:
        return strip(data.decode()).encode()
    except ValueError as error:
        raise KleinbildError(f"{path}: {error}") from error


def _build_id(files: dict[str, bytes], revisions: str) -> str:
    digest = hashlib.sha256(f"{__version__}\n{revisions}\n".encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()[:BUILD_ID_CHARACTERS]
