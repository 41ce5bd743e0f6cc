"""The page itself: templates rendered, scripts, styles and icons copied, all below one build id.

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
from kleinbild.package.files import files_below, read_bytes, write_bytes
from kleinbild.package.manifest import Manifest
from kleinbild.package.model_index import INDEX, manifest_path

PROJECT = Path(__file__).resolve().parents[2]
BENCH_PAGE = "bench.html"
# Below /v/<build>/: the paths of the whole shell, for a page that copies itself into a folder.
FILE_LIST = "files.json"
TEMPLATES = ("index.html", BENCH_PAGE, "sw.js", "app.webmanifest")
SHIPPED_SUFFIXES = {".js", ".wgsl", ".css", ".svg", ".png", ".ico", ".woff2", ".json"}
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


def write_shell(source: ShellSource, root: Path, manifests: Sequence[Manifest]) -> str:
    """Writes the shell for the models of `manifests`, the page's default first; returns the build id.

    Raises KleinbildError when a template does not render.
    """
    manifest = manifests[0]
    build, urls = _write_files(source, root, "\n".join(model.revision for model in manifests))
    default_path = f"/{manifest_path(manifest.id)}"
    shell = ["/", *sorted([*urls, "/app.webmanifest", f"/{BENCH_PAGE}", f"/v/{build}/{FILE_LIST}", "/sw.js"])]
    write_bytes(root / "v" / build / FILE_LIST, (json.dumps(shell, indent=0) + "\n").encode())
    variables = {
        "model": {
            "id": manifest.id,
            "name": manifest.name,
            "notice": manifest.notice,
            "weights": manifest.weights,
        },
        "manifest_path": default_path,
        "files": [*shell, default_path, f"/{INDEX}"],
    }
    _render(source, root, build, TEMPLATES, variables)
    return build


def write_bench_page(source: ShellSource, root: Path) -> str:
    """Writes the benchmark's page alone below `root`: it needs no model. Returns the build id.

    Raises KleinbildError when something is missing or does not render.
    """
    source.check()
    build, _ = _write_files(source, root, "")
    _render(source, root, build, (BENCH_PAGE,), {})
    return build


def _write_files(source: ShellSource, root: Path, revisions: str) -> tuple[str, list[str]]:
    """Writes all but what templates render to; returns the build id and the paths on the site."""
    versioned = _read_tree(source.scripts, "src_js") | _read_tree(source.templates / "css", "css")
    icons = _read_tree(source.templates / "icons", "icons")
    templates = {
        name: read_bytes(source.templates / f"{name}.j2", MAX_SHELL_FILE_BYTES) for name in TEMPLATES
    }
    build = _build_id({**versioned, **icons, **templates}, revisions)
    files = {f"v/{build}/{name}": data for name, data in versioned.items()} | icons
    for name, data in files.items():
        write_bytes(root / name, data)
    return build, [f"/{name}" for name in files]


def _render(
    source: ShellSource, root: Path, build: str, names: tuple[str, ...], variables: Mapping[str, object]
) -> None:
    environment = Environment(
        loader=FileSystemLoader(source.templates),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    common = {"build": build, "base": f"/v/{build}", "version": __version__}
    for name in names:
        try:
            text = environment.get_template(f"{name}.j2").render({**common, **variables})
        except TemplateError as error:
            raise KleinbildError(f"{source.templates / name}.j2: {error}") from error
        write_bytes(root / name, text.encode())


def _read_tree(folder: Path, prefix: str) -> dict[str, bytes]:
    """prefix/relative path -> bytes of every file below `folder` that a page may load, in order of path."""
    if not folder.is_dir():
        return {}
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}": read_bytes(path, MAX_SHELL_FILE_BYTES)
        for path in files_below(folder)
        if path.suffix in SHIPPED_SUFFIXES and not path.name.startswith(".")
    }


def _build_id(files: dict[str, bytes], revisions: str) -> str:
    digest = hashlib.sha256(f"{__version__}\n{revisions}\n".encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()[:BUILD_ID_CHARACTERS]
