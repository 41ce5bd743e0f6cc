"""`check` on sites: a whole one is called whole, and every kind of damage is named."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from package_doubles import model_double

from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.package.model import package_model
from kleinbild.package.model_index import manifest_files, write_models
from kleinbild.package.output import staged_folder
from kleinbild.package.report import Report, size_text
from kleinbild.package.shell import TEMPLATES
from kleinbild.package.site_check import check_site
from kleinbild.package.store import FileStore


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose shell is four words; nothing here looks into the shell."""
    folder = tmp_path_factory.mktemp("site_check")
    write_tiny_checkpoint(folder / "checkpoint")
    with staged_folder(folder / "dist") as root:
        double = model_double(folder / "checkpoint")
        write_models(root, [package_model(double, root, previous=None, log=lambda _: None)])
        for name in TEMPLATES:
            (root / name).write_text("x")
    return folder / "dist"


@pytest.fixture
def site(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dist"))


def problems(site: Path) -> list[str]:
    report = Report()
    check_site(site, report)
    return report.problems


def manifest_path(site: Path) -> Path:
    (path,) = manifest_files(site)
    return path


def shard(site: Path, stage: str) -> Path:
    manifest = json.loads(manifest_path(site).read_text())
    (indices,) = (entry["shards"] for entry in manifest["stages"] if entry["name"] == stage)
    return site / str(manifest["shards"][indices[0]]["path"])


def reseal(site: Path) -> None:
    """Writes SHA256SUMS anew, as somebody would who changes a site on purpose."""
    paths = sorted(p for p in site.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(site).as_posix()}\n" for p in paths
    ]
    (site / "SHA256SUMS").write_text("".join(lines))


def change_manifest(site: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = manifest_path(site)
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    reseal(site)


def test_a_whole_site(site: Path) -> None:
    report = Report()
    check_site(site, report)
    assert report.problems == []
    assert report.lines[0] == f"model {manifest_path(site).stem}: Tiny FLUX.2 Klein, q4 weights"
    assert [line.split()[:4] for line in report.lines[1:7]] == [
        ["stage", "load", "tensors", "shards"],
        ["text_encoder", "start", "297", "1"],
        ["embedding", "needed", "1", "1"],
        ["transformer", "start", "44", "2"],
        ["modulation", "needed", "6", "1"],
        ["vae_decoder", "start", "140", "1"],
    ]
    assert report.lines[-2].startswith("bytes to first picture: ")
    assert report.lines[-1].startswith("bytes in all: ")


def test_a_flipped_bit_is_found(site: Path) -> None:
    path = shard(site, "vae_decoder")
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    first, second = problems(site)
    assert first == f"{path}: damaged (its SHA-256 is not the one in SHA256SUMS)"
    assert second.startswith(f"{path}: ")


def test_a_missing_shard_is_found(site: Path) -> None:
    path = shard(site, "text_encoder")
    size = path.stat().st_size
    path.unlink()
    assert problems(site) == [
        f"{path}: missing",
        f"{path}: missing; the manifest asks for {size} bytes",
    ]


def test_a_truncated_shard_is_found(site: Path) -> None:
    path = shard(site, "embedding")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-256])
    assert problems(site)[1] == f"{path}: {size - 256} bytes; the manifest asks for {size} bytes"


def repacked(data: bytes, size: int) -> bytes:
    """A gzip of exactly `size` bytes that holds `data`; its header carries a long name to fill it."""
    packed = gzip.compress(data, mtime=0)
    name = b"x" * (size - len(packed) - 1) + b"\0"
    return packed[:3] + b"\x08" + packed[4:10] + name + packed[10:]


def test_a_renamed_shard_is_found(site: Path) -> None:
    """Every digest of the list and every size fits, only the plain bytes are others."""
    path = shard(site, "embedding")
    packed = path.read_bytes()
    data = gzip.decompress(packed)
    for other, message in [
        (bytes(len(data)), "unpacks to other bytes than its name says"),
        (bytes(256), f"unpacks to 256 bytes; the manifest asks for {len(data)}"),
        (bytes(len(data) + 1), f"holds more than {len(data)} bytes"),
    ]:
        path.write_bytes(repacked(other, len(packed)))
        reseal(site)
        assert problems(site) == [f"{path}: {message}"]
    path.write_bytes(bytes(len(packed)))
    reseal(site)
    (problem,) = problems(site)
    assert problem.startswith(f"{path}: is no gzip")


def test_a_plain_shard_under_another_name_is_found(site: Path) -> None:
    path = shard(site, "embedding")
    plain = path.with_suffix("")
    plain.write_bytes(bytes(len(gzip.decompress(path.read_bytes()))))
    size = path.stat().st_size
    path.unlink()
    text = manifest_path(site).read_text()
    text = text.replace(path.name + '"', plain.name + '"').replace(
        f'"encoding":"gzip","transfer_bytes":{size}', f'"encoding":"","transfer_bytes":{plain.stat().st_size}'
    )
    manifest_path(site).write_text(text)
    reseal(site)
    assert problems(site) == [f"{plain}: its name is not its SHA-256"]


def test_a_missing_page_is_found(site: Path) -> None:
    (site / "sw.js").unlink()
    reseal(site)
    assert problems(site) == [f"{site / 'sw.js'}: missing"]


def test_an_added_file_is_found(site: Path) -> None:
    (site / "extra.html").write_text("x")
    assert problems(site) == [f"{site / 'extra.html'}: not in SHA256SUMS, so not written by build.py"]


def test_a_site_without_models_or_digests_is_found(site: Path) -> None:
    shutil.rmtree(site / "models")
    (site / "models").mkdir()
    (site / "SHA256SUMS").unlink()
    assert [problem.split(": ")[1] for problem in problems(site)] == [
        "cannot be read (No such file or directory)",
        "no model in it; build the site again",
    ]


def test_a_lying_manifest_is_found(site: Path) -> None:
    path = manifest_path(site)
    change_manifest(site, lambda m: m["tensors"][0]["parts"][0].update(length=1))
    (problem,) = problems(site)
    assert problem.startswith(f"{path}: tensor 'model.layers.0.input_layernorm.weight' has a part of 1 bytes")


def test_a_manifest_under_another_name_is_found(site: Path) -> None:
    manifest_path(site).rename(site / "models" / "other.json")
    reseal(site)
    (problem,) = problems(site)
    assert "describes the model tiny-flux-2-klein-q4-" in problem


def test_a_manifest_that_is_no_json_is_found(site: Path) -> None:
    path = manifest_path(site)
    path.write_text("{")
    reseal(site)
    (problem,) = problems(site)
    assert problem.startswith(f"{path}: not valid JSON")


def replace_file(site: Path, old: Path, data: bytes) -> Path:
    """Puts the plain bytes `data` in the place of the file `old`, in the manifest too."""
    before = old.name.partition(".")[0]
    suffix = old.name.split(".")[1]
    old.unlink()
    new = FileStore(site).put(data, suffix)

    def change(manifest: dict[str, Any]) -> None:
        for file in (manifest["tokenizer"], *manifest["shards"]):
            if file["sha256"] == before:
                file.update(asdict(new))

    change_manifest(site, change)
    return site / new.path


def test_a_vector_with_nan_is_found(site: Path) -> None:
    manifest = json.loads(manifest_path(site).read_text())
    (part,) = (t["parts"][0] for t in manifest["tensors"] if t["name"] == "bn.mean")
    path = shard(site, "vae_decoder")
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[part["offset"] : part["offset"] + 4] = np.float32(np.nan).tobytes()
    new = replace_file(site, path, bytes(data))
    assert problems(site) == [f"{new}: tensor bn.mean holds NaN or infinite values"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema=2), "schema is not what"),
        (lambda v: v.update(max_length=77), "max_length is not what"),
        (lambda v: v["template"].update(suffix=""), "template is not what"),
        (lambda v: v.update(pad_id=1 << 20), "an id lies outside"),
        (lambda v: v["added"][0].update(id=-1), "an id lies outside"),
        (lambda v: v["tokens"].extend([""] * 1000), "an id lies outside"),
        (lambda v: v.pop("added"), "tokens or added is no list"),
        (lambda v: v["tokens"].insert(0, 5), "a token is no text"),
        (lambda v: v["added"][0].update(content=None), "a token is no text"),
    ],
)
def test_a_vocabulary_of_another_model_is_found(
    site: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = site / json.loads(manifest_path(site).read_text())["tokenizer"]["path"]
    value = json.loads(gzip.decompress(path.read_bytes()))
    change(value)
    new = replace_file(site, path, json.dumps(value).encode())
    (problem,) = problems(site)
    assert problem.startswith(f"{new}: {message}")


def test_sizes_are_readable() -> None:
    sizes = [0, 999, 1000, 131072, 999_999_999, 2_150_000_000]
    assert [size_text(size) for size in sizes] == [
        "0 bytes",
        "999 bytes",
        "1.0 KB",
        "131.1 KB",
        "1000.0 MB",
        "2.15 GB",
    ]
