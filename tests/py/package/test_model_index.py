"""Several models in one site: their list, what they share, adding and replacing one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from package_doubles import ModelDouble, model_double

from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.package.manifest import Manifest, manifest_text, new_manifest
from kleinbild.package.model import package_model
from kleinbild.package.model_index import (
    ModelEntry,
    ModelIndex,
    manifest_files,
    model_index,
    read_index,
    read_manifests,
    replaces,
    write_models,
)
from kleinbild.package.output import staged_folder
from kleinbild.package.report import Report
from kleinbild.package.shell import TEMPLATES
from kleinbild.package.site_check import check_site
from kleinbild.weights import Dense

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelDouble:
    folder = tmp_path_factory.mktemp("index")
    write_tiny_checkpoint(folder)
    return model_double(folder)


@pytest.fixture(scope="module")
def site(model: ModelDouble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that differ in one vector of the decoder; the page is four words."""
    norm = model.checkpoint.tensor("vae_decoder", "decoder.conv_norm_out.weight")
    other = replace(model.but(decoder__conv_norm_out__weight=Dense(norm + np.float32(1))), name="Other")
    out = tmp_path_factory.mktemp("two") / "dist"
    with staged_folder(out) as root:
        write_models(root, [package(model, root), package(other, root)])
        for name in TEMPLATES:
            (root / name).write_text("x")
    return out


def package(model: ModelDouble, root: Path) -> Manifest:
    return package_model(model, root, previous=None, log=lambda _: None)


def test_the_index_says_what_the_manifests_say(site: Path) -> None:
    manifests = read_manifests(site)
    index = read_index(site)
    assert [entry.default for entry in index.models] == [True, False]
    for entry, manifest in zip(index.models, manifests, strict=True):
        assert entry.manifest == f"/models/{manifest.id}.json"
        assert (entry.id, entry.name, entry.revision) == (manifest.id, manifest.name, manifest.revision)
        files = {file.path: file for file in (manifest.tokenizer, *manifest.shards)}.values()
        assert entry.bytes == sum(file.bytes for file in files)
        assert entry.transfer_bytes == sum((site / file.path).stat().st_size for file in files)
    assert [path.stem for path in manifest_files(site)] == sorted(manifest.id for manifest in manifests)


def test_equal_shards_lie_there_once(site: Path) -> None:
    first, second = read_manifests(site)
    shared = {file.path for file in first.files} & {file.path for file in second.files}
    assert len(shared) == len(first.files) - 1
    assert len(list((site / "w").iterdir())) == len(first.files) + 1
    report = Report()
    check_site(site, report)
    both = [line for line in report.lines if line.startswith("2 models, ")]
    assert len(both) == 1
    assert first.id in both[0]


def test_a_revision_is_that_of_the_plain_bytes(site: Path) -> None:
    """A model exported by a page is plain, one of build.py is packed: they are one model."""
    manifest = read_manifests(site)[0]
    assert any(shard.encoding for shard in manifest.shards)
    given = {field.name: getattr(manifest, field.name) for field in fields(manifest)}
    for field in ("schema", "id", "revision"):
        del given[field]
    plain = tuple(
        replace(s, path=s.path.removesuffix(".gz"), encoding="", transfer_bytes=s.bytes)
        for s in manifest.shards
    )
    assert new_manifest(**{**given, "shards": plain}).id == manifest.id
    changed = (replace(plain[0], sha256="0" * 64, path=f"w/{'0' * 64}.bin"), *plain[1:])
    assert new_manifest(**{**given, "shards": changed}).id != manifest.id


def test_a_revision_has_the_name_and_the_format(site: Path) -> None:
    first, second = read_manifests(site)
    assert replaces(replace(first, id="later"), first)
    assert not replaces(second, first)
    assert not replaces(replace(first, weights="f32"), first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i.update(schema=2), "schema is 2"),
        (lambda i: i["models"][1].update(default=True), "not the first model, and no other"),
        (lambda i: i["models"].pop(), "does not list the manifests beside it"),
        (lambda i: i["models"][0].update(bytes=1), "does not say what the manifests say"),
        (lambda i: i["models"][0].update(extra=1), "unknown field 'extra'"),
        (lambda i: i.update(models=[]), "not the first model"),
    ],
)
def test_a_damaged_index_is_refused(
    site: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    root = Path(shutil.copytree(site, tmp_path / "site"))
    value = json.loads((root / "models" / "index.json").read_text())
    change(value)
    text = json.dumps(value)
    (root / "models" / "index.json").write_text(text)
    sums = (root / "SHA256SUMS").read_text().splitlines()
    sums = [line for line in sums if not line.endswith("  models/index.json")]
    sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  models/index.json")
    (root / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    report = Report()
    check_site(root, report)
    assert any(message in problem for problem in report.problems), report.problems


def test_an_index_leads_nowhere_else(site: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(site, tmp_path / "site"))
    value = json.loads((root / "models" / "index.json").read_text())
    value["models"][0]["id"] = "../../etc/passwd"
    (root / "models" / "index.json").write_text(json.dumps(value))
    with pytest.raises(KleinbildError, match="is no model id"):
        read_manifests(root)


def test_no_model_and_too_many_are_refused(site: Path) -> None:
    manifest = read_manifests(site)[0]
    for count in (0, 65):
        with pytest.raises(KleinbildError, match="give 1 to 64"):
            model_index([manifest] * count)


def test_fields_are_those_of_the_page() -> None:
    text = (PROJECT / "src_js" / "model_index.js").read_text(encoding="utf-8")
    for class_ in (ModelEntry, ModelIndex):
        block = re.search(rf"@typedef {{object}} {class_.__name__}\b(.*?)(?:@typedef|\*/)", text, re.DOTALL)
        assert block, class_
        properties = re.findall(r"@property {.*?} (\w+)", block[1])
        assert sorted(properties) == sorted(field.name for field in fields(class_))


def test_writing_twice_gives_the_same(site: Path) -> None:
    before = (site / "models" / "index.json").read_bytes()
    manifests = read_manifests(site)
    write_models(site, manifests)
    assert (site / "models" / "index.json").read_bytes() == before
    assert asdict(read_index(site)) == asdict(model_index(manifests))
    assert manifest_text(manifests[0]) == (site / "models" / f"{manifests[0].id}.json").read_text()
