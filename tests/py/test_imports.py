"""Imports run one way, in Python and in the page's scripts; this is the rule, written once.

A layer may import itself and what LAYERS says, nothing else. Types that JSDoc comments name are imports, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

PROJECT = Path(__file__).resolve().parents[2]

BASE = {"kleinbild", "errors", "config", "weights", "notice", "suggestions"}
PYTHON_LAYERS: dict[str, set[str]] = {
    "kleinbild": set(),
    "errors": set(),
    "config": {"errors"},
    "weights": {"errors", "config"},
    "notice": {"errors"},
    "suggestions": {"errors"},
    "progress": set(),
    "part_folder": {"errors"},
    "canonical": BASE,
    "quantise": BASE,
    "checkpoint": BASE | {"canonical"},
    "bundle": BASE | {"canonical", "checkpoint"},
    "hub": {"kleinbild", "errors", "checkpoint", "bundle", "progress"},
    "export": BASE | {"canonical", "quantise", "checkpoint", "part_folder"},
    "package": BASE | {"canonical", "checkpoint", "bundle", "export", "hub", "progress", "part_folder"},
    "server": {"kleinbild", "errors"},
    "build.py": {"package"},
    "serve.py": {"server", "package"},
}
TRAINING_PARTS = {
    "scenes": ("training.scenes",),
    # The judge knows what a scene is, and nothing of how it is drawn or made.
    "judge": ("training.judge", "training.scenes.scene"),
    # What a model is, in torch: nothing of data, losses or runs.
    "model": ("training.model", "training.config"),
}
"""Parts of training that stand alone, and all of this project that they may import."""
TRAINING_USES = {"errors", "config", "weights", "canonical", "checkpoint", "bundle", "quantise"}
"""Layers of kleinbild that training may import: what reads and writes models, not what packages or serves."""
JS_LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "statistics": set(),
    "digest": set(),
    "reader": {"errors"},
    "manifest": {"errors", "reader"},
    "protocol": {"errors", "reader", "manifest"},
    "version": set(),
    "image": {"errors", "version"},
    "gallery": {"errors", "image"},
    "engine": {"errors", "manifest"},
    "pipeline": {"errors", "digest", "manifest", "engine"},
    "storage": {"errors", "digest", "reader", "manifest"},
    "app": {"errors", "statistics", "reader", "manifest", "protocol", "image", "gallery"},
    "bench": {"errors", "statistics", "manifest", "protocol", "engine", "pipeline"},
    "worker": {
        "errors",
        "digest",
        "reader",
        "manifest",
        "protocol",
        "storage",
        "image",
        "engine",
        "pipeline",
        "bench",
    },
    "sw": {"errors"},
}
JS_ALIASES = {
    "manifest_checks": "manifest",
    "model_tensors": "manifest",
    "synthetic_manifest": "manifest",
    "tensor_layout": "manifest",
    "bench_protocol": "protocol",
    "model_index": "manifest",
    "model_state": "manifest",
    "models_protocol": "protocol",
}

COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", re.DOTALL)
STATEMENT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""")


def python_layer(path: Path) -> str:
    parts = path.relative_to(PROJECT).parts
    if len(parts) == 1:
        return parts[0]
    name = parts[1].removesuffix(".py")
    return "kleinbild" if name == "__init__" else name


def imported_names(path: Path) -> Iterator[str]:
    """Modules that a Python file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield str(node.module)


def python_imports(path: Path) -> Iterator[str]:
    """Layers of kleinbild that a module imports, wherever in the file."""
    for name in imported_names(path):
        root, _, rest = name.partition(".")
        if root == "kleinbild":
            first = rest.partition(".")[0]
            yield first if first in PYTHON_LAYERS else "kleinbild"


def js_imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(layer, whether only a comment names it) of everything that a script imports."""
    text = path.read_text(encoding="utf-8")
    code = COMMENT.sub("", text)
    for source, only_type in ((code, False), ("\n".join(COMMENT.findall(text)), True)):
        for target in STATEMENT.findall(source):
            if target.startswith("."):
                relative = path.relative_to(PROJECT).parent / target
                yield js_layer(normalised(PurePosixPath(relative.as_posix()))), only_type
            elif not only_type:
                yield target, only_type


def normalised(path: PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def js_layer(path: PurePosixPath) -> str:
    if path.parts[0] != "src_js":
        return str(path)
    name = path.parts[1].removesuffix(".js")
    return JS_ALIASES.get(name, name)


def python_files() -> list[Path]:
    return [PROJECT / "build.py", PROJECT / "serve.py", *sorted((PROJECT / "kleinbild").rglob("*.py"))]


def js_files() -> list[Path]:
    return sorted((PROJECT / "src_js").rglob("*.js"))


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_python_imports_run_one_way(path: Path) -> None:
    layer = python_layer(path)
    assert layer in PYTHON_LAYERS, f"give {layer} a place in PYTHON_LAYERS"
    allowed = PYTHON_LAYERS[layer] | {layer}
    assert set(python_imports(path)) <= allowed, f"{layer} may import only {sorted(allowed)}"


@pytest.mark.parametrize("part", TRAINING_PARTS)
def test_parts_of_training_stand_alone(part: str) -> None:
    files = sorted((PROJECT / "training" / part).rglob("*.py"))
    names = {name for path in files for name in imported_names(path)}
    own = {name for name in names if name.split(".")[0] in {"kleinbild", "training"}}
    # The command that writes a sheet of scenes is the one guest.
    own.discard("training.contact_sheet")
    assert own
    assert all(name.startswith(TRAINING_PARTS[part]) for name in own), own


def test_training_imports_what_reads_and_writes_models_alone() -> None:
    for path in sorted((PROJECT / "training").rglob("*.py")):
        assert set(python_imports(path)) <= TRAINING_USES, path


def test_what_is_installed_knows_nothing_of_training() -> None:
    for path in python_files():
        assert not any(name.split(".")[0] == "training" for name in imported_names(path)), path


@pytest.mark.parametrize("path", js_files(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_script_imports_run_one_way(path: Path) -> None:
    layer = js_layer(PurePosixPath(path.relative_to(PROJECT).as_posix()))
    assert layer in JS_LAYERS, f"give {layer} a place in JS_LAYERS"
    allowed = JS_LAYERS[layer] | {layer}
    for target, _ in js_imports(path):
        assert target in allowed, f"{layer} imports {target}; it may import only {sorted(allowed)}"


def test_the_rules_have_no_circle() -> None:
    for layers in (PYTHON_LAYERS, JS_LAYERS):
        left = dict(layers)
        while left:
            free = [name for name, uses in left.items() if not uses & left.keys()]
            assert free, f"a circle among {sorted(left)}"
            for name in free:
                del left[name]


def test_a_forbidden_script_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the scanner itself: every way to import is found, comments count as types only."""
    monkeypatch.setitem(globals(), "PROJECT", tmp_path)
    path = tmp_path / "src_js" / "engine" / "ops" / "a.js"
    path.parent.mkdir(parents=True)
    path.write_text(
        'import { a } from "../../app/a.js";\nexport * from "../../worker/b.js";\nimport "../../sw/c.js";\n'
        'const d = await import("../../storage/d.js");\n'
        'import {\n  e,\n} from "../engine.js";\nimport f from "left-pad";\n'
        '// import g from "../../image/g.js";\n/** @type {import("../../pipeline/h.js").H} */\n'
        'const url = "https://example.org/"; // from "../../protocol.js"\n'
    )
    assert sorted(js_imports(path)) == [
        ("app", False),
        ("engine", False),
        ("image", True),
        ("left-pad", False),
        ("pipeline", True),
        ("protocol", True),
        ("storage", False),
        ("sw", False),
        ("worker", False),
    ]
