"""The manifest: what is written is what is read, and every lie in it is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from package_doubles import model_double

from kleinbild import config as config_module
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.errors import KleinbildError
from kleinbild.package import manifest as manifest_module
from kleinbild.package.manifest import Manifest, manifest_from_json, manifest_text
from kleinbild.package.manifest_checks import check_manifest
from kleinbild.package.model import package_model

PROJECT = Path(__file__).resolve().parents[3]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("manifest")
    write_tiny_checkpoint(folder / "checkpoint")
    double = model_double(folder / "checkpoint")
    return package_model(double, folder / "site", previous=None, log=lambda _: None, shard_bytes=98304)


def test_reading_gives_what_was_written(manifest: Manifest) -> None:
    text = manifest_text(manifest)
    assert manifest_from_json(json.loads(text)) == manifest
    assert text == manifest_text(manifest_from_json(json.loads(text)))
    check_manifest(manifest, "manifest")


def test_id_and_revision_follow_from_the_content(manifest: Manifest) -> None:
    assert manifest.id == f"tiny-flux-2-klein-q4-{manifest.revision[:8]}"
    assert re.fullmatch("[0-9a-f]{64}", manifest.revision)


def test_a_model_without_latin_letters_has_an_id(tmp_path: Path, manifest: Manifest) -> None:
    given = {f.name: getattr(manifest, f.name) for f in fields(manifest)}
    for field in ("schema", "id", "revision"):
        del given[field]
    renamed = manifest_module.new_manifest(**{**given, "name": "模型"})
    assert renamed.id.startswith("model-q4-")
    assert renamed.revision != manifest.revision


def test_fields_are_those_of_the_page() -> None:
    """src_js/manifest.js lists its typedefs: every one that is a dataclass here has the same properties."""
    text = (PROJECT / "src_js" / "manifest.js").read_text(encoding="utf-8")
    classes = {
        name: value
        for module in (config_module, manifest_module)
        for name, value in vars(module).items()
        if isinstance(value, type) and hasattr(value, "__dataclass_fields__")
    }
    assert len(classes) == 12
    for name, class_ in classes.items():
        same = "FileRef" if f"@typedef {{FileRef}} {name} " in text else name
        block = re.search(rf"@typedef {{object}} {same}\b(.*?)(?:@typedef|\*/)", text, re.DOTALL)
        assert block, f"src_js/manifest.js has no typedef {name}"
        properties = re.findall(r"@property {.*?} (\w+)", block[1])
        assert sorted(properties) == sorted(field.name for field in fields(class_)), name


def _tensor(value: dict[str, Any], kind: str, format_: str = "") -> Any:
    """The first tensor of a kind (and format, if given)."""
    return next(t for t in value["tensors"] if t["kind"] == kind and format_ in ("", t["format"]))


def _plain(value: dict[str, Any]) -> Any:
    """The first shard, as if it had not been worth compressing."""
    shard = value["shards"][0]
    shard.update(encoding="", path=f"w/{shard['sha256']}.bin", transfer_bytes=shard["bytes"])
    return shard


def _share_the_table(value: dict[str, Any]) -> None:
    """Says that a vector lies in the table's shard."""
    table = _tensor(value, "table")["parts"][0]["shard"]
    vector = next(t for t in value["tensors"] if (t["kind"], t["stage"]) == ("vector", "transformer"))
    vector["parts"][0].update(shard=table, offset=0)


TYPE_LIES: list[tuple[Change, str]] = [
    (lambda m: m.pop("notice"), "field 'notice' is missing"),
    (lambda m: m.update(extra=1), "unknown field 'extra'"),
    (lambda m: m.update(schema=5), "schema is 5; this version reads schema 4"),
    (lambda m: m.update(schema=3), "packaged by an earlier build: package the model again"),
    (lambda m: m.update(schema=1), "packaged by an earlier build: package the model again"),
    (lambda m: m["stages"][0].pop("load"), r"stages\[0\]: field 'load' is missing"),
    (lambda m: m["table_sigmas"].append("1"), r"table_sigmas\[\d+\]: expected float, found '1'"),
    (lambda m: m["table_sigmas"].append(True), r"table_sigmas\[\d+\]: expected float, found True"),
    (lambda m: m["table_sigmas"].append(10**400), r"table_sigmas\[\d+\]: expected float, found 1000"),
    (lambda m: m["config"]["transformer"].update(eps=10**400), r"transformer\.eps: expected float"),
    (lambda m: m.update(notice="a fox"), "notice: expected an object, found 'a fox'"),
    (lambda m: m.update(notice={"en": 5}), r"notice\.en: expected str, found 5"),
    (lambda m: m.update(name=5), "name: expected str, found 5"),
    (lambda m: m.update(shards={}), "shards: expected a list"),
    (lambda m: m["shards"][0].update(bytes=True), r"shards\[0\].bytes: expected int, found True"),
    (lambda m: m["tensors"][0].update(zero_points=0), r"tensors\[0\].zero_points: expected bool, found 0"),
    (lambda m: m["tensors"].append(None), "expected an object, found None"),
    (lambda m: m["config"]["transformer"].pop("eps"), "config.transformer: field 'eps' is missing"),
]
LIES: list[tuple[Change, str]] = [
    (lambda m: m.update(id="../x"), "is no model id"),
    (lambda m: m.update(notice={"en": "x" * 2001}), "the notice is no text of 1 to 2000 characters"),
    (lambda m: m.update(notice={"en": "\x1b[31m"}), "the notice is empty or not printable"),
    (lambda m: m.update(notice={"de": "Fuchs"}), 'the notice is not there in "en"'),
    (lambda m: m.update(notice={"en": "a", "../x": "b"}), "'../x' is no language of a notice"),
    (lambda m: m.update(examples=["x" * 301]), "an example is no text of 1 to 300 characters"),
    (lambda m: m.update(sizes=[[128]]), "is not .width, height. in multiples of 16"),
    (lambda m: m.update(name="a\x00b"), "name is longer than 200 characters or not printable"),
    (lambda m: m.update(revision="1"), "revision '1' is no SHA-256"),
    (lambda m: m.update(weights="q8"), "weights 'q8' is none of"),
    (lambda m: m["config"]["text_encoder"].update(num_layers=10**9), "num_layers is 1000000000"),
    (lambda m: m["config"]["transformer"].update(hidden_size=0), "hidden_size is 0"),
    (lambda m: m["config"]["transformer"].update(eps=-1.0), r"eps is -1\.0"),
    (lambda m: m["config"]["prompt"].update(context_clip=-1.0), r"context_clip is -1\.0"),
    (lambda m: m["config"]["prompt"].update(context_clip=float("nan")), "context_clip is nan"),
    (lambda m: m["config"]["vae_decoder"].update(block_out_channels=[]), "block_out_channels has 0 values"),
    (lambda m: m["config"]["transformer"].update(hidden_size=128), "the model's config asks for"),
    (lambda m: m["shards"][1].update(path="../../etc/passwd"), r"shards\[1\].path"),
    (lambda m: m["shards"][1].update(sha256="0" * 64), "is not w/<its sha256>.bin"),
    (lambda m: m["shards"][0].update(encoding="br"), r"encoding 'br' is neither '' nor 'gzip'"),
    (lambda m: m["shards"][0].update(encoding=""), "is not w/<its sha256>.bin"),
    (lambda m: _plain(m).update(encoding="gzip"), "is not w/<its sha256>.bin.gz"),
    (lambda m: _plain(m).update(transfer_bytes=1), r"transfer_bytes is 1; expected"),
    (lambda m: m["shards"][0].update(transfer_bytes=0), r"transfer_bytes is 0; no gzip of"),
    (lambda m: m["shards"][0].update(transfer_bytes=1 << 40), r"transfer_bytes is 1099511627776; no gzip"),
    (lambda m: m["shards"].extend(m["shards"][:1] * 8192), "shards; expected at most 8192"),
    (lambda m: m["stages"][1].update(load="start"), r"stages are not text_encoder \(start\), embedding"),
    (lambda m: m["stages"][0].update(load=""), r"stages are not text_encoder \(start\), embedding"),
    (lambda m: m["table_sigmas"].reverse(), "table_sigmas do not descend"),
    (lambda m: m["table_sigmas"].insert(0, 1.0), "table_sigmas do not descend"),
    (lambda m: m["table_sigmas"].append(0.0), r"table_sigmas has 0\.0; expected float32 values"),
    (lambda m: m["table_sigmas"].append(0.1), r"table_sigmas has 0\.1; expected float32 values"),
    (lambda m: m["table_sigmas"].append(float("nan")), "table_sigmas has nan; expected"),
    (
        lambda m: m["table_sigmas"].append(2.0**-149),
        r"modulation_table' is table \[16, 1088\]; .* \[17, 1088\]",
    ),
    (lambda m: m["table_sigmas"].extend([0.5] * 250), "table_sigmas has 266 values"),
    (lambda m: m["table_sigmas"].clear(), "tensor 'modulation_table' is listed twice or does not belong"),
    (
        lambda m: m["tensors"].remove(_tensor(m, "table")),
        "tensor 'modulation_table' of the transformer is missing",
    ),
    (lambda m: _tensor(m, "table").update(format="f16"), "which no table has"),
    (_share_the_table, "of tensor 'modulation_table' holds other tensors"),
    (lambda m: m["tokenizer"].update(path="w/x.json"), "tokenizer.path"),
    (lambda m: m["shards"][0].update(bytes=1 << 40), r"shards\[0\].bytes is"),
    (lambda m: m["shards"][0].update(bytes=98303), "is no multiple of 256"),
    (lambda m: m["stages"].pop(), r"stages are not text_encoder \(start\), embedding \(needed\)"),
    (lambda m: m["stages"].reverse(), r"stages are not text_encoder \(start\), embedding"),
    (lambda m: m["stages"][0]["shards"].append(0), "every shard exactly once"),
    (lambda m: m["tensors"].pop(), "tensor 'decoder.conv_out.bias' of the vae_decoder is missing"),
    (lambda m: m["tensors"].append(m["tensors"][0]), "is listed twice"),
    (lambda m: m["tensors"][0].update(name="x"), "tensor 'x' is listed twice or does not belong"),
    (lambda m: _tensor(m, "vector").update(format="f16"), "which no vector has"),
    (lambda m: _tensor(m, "linear", "q4").update(block_size=24), "block size or zero points"),
    (lambda m: _tensor(m, "linear", "f16").update(zero_points=True), "block size or zero points"),
    (lambda m: _tensor(m, "linear", "q4").update(zero_points=True), "its rows take"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(row_start=1), "a part at row 1; expected row 0"),
    (lambda m: _tensor(m, "embedding")["parts"].pop(), "rows"),
    (lambda m: _tensor(m, "vector")["parts"].clear(), "of 0 parts; expected one"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(shard=-1), "lies in shard -1"),
    (lambda m: _tensor(m, "embedding")["parts"][0].update(shard=0), "which its stage does not list"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(offset=16), "offset 16, no multiple"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(offset=-256), "offset -256, no multiple"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(offset=1 << 30), "reaches past the end"),
    (lambda m: _tensor(m, "linear")["parts"][0].update(offset=m["shards"][0]["bytes"] - 256), "past the end"),
]


@pytest.mark.parametrize(("change", "message"), TYPE_LIES)
def test_wrong_fields_are_named(manifest: Manifest, change: Change, message: str) -> None:
    value = json.loads(manifest_text(manifest))
    change(value)
    with pytest.raises(KleinbildError, match=message):
        manifest_from_json(value)


@pytest.mark.parametrize(("change", "message"), LIES)
def test_contradictions_are_named(manifest: Manifest, change: Change, message: str) -> None:
    value = json.loads(manifest_text(manifest))
    change(value)
    lying = manifest_from_json(value)
    with pytest.raises(KleinbildError, match=message):
        check_manifest(lying, "models/x.json")
