"""Choosing among listings that lack something or whose JSON files name what they should not.

What is chosen from whole repositories, test_fetch.py tests by what is downloaded.
"""

from __future__ import annotations

import json

import pytest
from hub.fake_hub import oid
from hub.repositories import bundle_files, checkpoint_files

from kleinbild.errors import KleinbildError
from kleinbild.hub.choose import JSON_MAX_BYTES, choose
from kleinbild.hub.listing import Listing, RemoteFile

INDEX = "text_encoder/model.safetensors.index.json"


def chosen(files: dict[str, bytes], sizes: dict[str, int] | None = None) -> list[str]:
    """The paths chosen from a repository of `files`, with other listed sizes for some."""
    listing = Listing(
        "0" * 40,
        "",
        {p: RemoteFile(p, (sizes or {}).get(p, len(data)), oid(p, data)) for p, data in files.items()},
    )
    return [file.path for file in choose("hf:o/n", listing, lambda file: files[file.path])]


def refused(files: dict[str, bytes], sizes: dict[str, int] | None = None) -> str:
    with pytest.raises(KleinbildError) as caught:
        chosen(files, sizes)
    assert str(caught.value).startswith("hf:o/n: ")
    return str(caught.value)


def test_small_files_come_first() -> None:
    files = checkpoint_files()
    sizes = [len(files[path]) for path in chosen(files)]
    assert sizes == sorted(sizes)


def test_without_an_index_the_single_file_is_taken() -> None:
    files = checkpoint_files()
    del files[INDEX]
    paths = chosen(files)
    assert "text_encoder/model.safetensors" in paths
    assert not any("of-00002" in path for path in paths)


def test_a_bundle_may_name_its_tokenizer_folder() -> None:
    files = bundle_files()
    config = json.loads(files["flux2-config.json"])
    files["flux2-config.json"] = json.dumps(config | {"tokenizer": "words"}).encode()
    assert "no words/tokenizer.json" in refused(files)
    files["words/tokenizer.json"] = files["words/tokenizer_config.json"] = b"{}"
    assert not any(path.startswith("tokenizer/") for path in chosen(files))


def test_a_repository_of_something_else() -> None:
    assert "neither a checkpoint (model_index.json) nor a bundle" in refused({"README.md": b""})
    nested = {f"sub/{path}": data for path, data in checkpoint_files().items()}
    assert "at the top of the repository" in refused(nested)


@pytest.mark.parametrize(
    "path",
    [
        "vae/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
        "text_encoder/model-00002-of-00002.safetensors",
        "transformer/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_checkpoint_that_lacks_a_file(path: str) -> None:
    files = checkpoint_files()
    del files[path]
    assert f"no {path} in the repository" in refused(files)


@pytest.mark.parametrize(
    "path", ["text-manifest.json", "text-00002.onnx_data", "vae.onnx", "tokenizer/tokenizer.json"]
)
def test_a_bundle_that_lacks_a_file(path: str) -> None:
    files = bundle_files()
    del files[path]
    assert f"no {path} in the repository" in refused(files)


@pytest.mark.parametrize("name", ["../model.safetensors", "/model", "a\\b", "..", "", 5, ["a"], None])
def test_names_that_leave_the_folder_are_not_followed(name: object) -> None:
    index = {INDEX: json.dumps({"weight_map": {"layer.0": name}}).encode()}
    assert INDEX in refused(checkpoint_files() | index)
    manifest = {"text-manifest.json": json.dumps([name]).encode()}
    assert "text-manifest.json" in refused(bundle_files() | manifest)
    config = {"models": {"text_encoder": {"file": name, "manifest": None}}}
    assert "flux2-config.json" in refused(bundle_files() | {"flux2-config.json": json.dumps(config).encode()})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"weight_map": []}', b'{"models": [1]}', b"[" * 9999]
)
def test_json_that_is_none(content: bytes) -> None:
    assert INDEX in refused(checkpoint_files() | {INDEX: content})
    assert "flux2-config.json" in refused(bundle_files() | {"flux2-config.json": content})
    if content != b"[]":
        assert "text-manifest.json" in refused(bundle_files() | {"text-manifest.json": content})


def test_json_too_large_to_read() -> None:
    assert "which no such file has" in refused(checkpoint_files(), {INDEX: JSON_MAX_BYTES + 1})
