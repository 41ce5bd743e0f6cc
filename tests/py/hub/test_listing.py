"""Listings that no honest hub gives: refused whole, before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.fake_hub import FakeHub
from hub.fetching import REPO, refused
from hub.repositories import checkpoint_files

HOSTILE = ["../evil.json", "/etc/evil", "a/../../evil", "tokenizer\\..\\evil.json", "a//b", "", "a\nb", "./a"]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names_are_refused(served: FakeHub, cache: Path, tmp_path: Path, path: str) -> None:
    served.add(REPO, checkpoint_files())
    served.extra_siblings = [{"rfilename": path, "size": 3, "blobId": "0" * 40}]
    error = refused()
    assert "outside the model's folder" in error
    assert repr(path) in error
    assert served.downloads() == []
    assert [p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)] == []


@pytest.mark.parametrize(
    "sibling",
    [
        {"rfilename": "a", "size": -1, "blobId": "0" * 40},
        {"rfilename": "a", "size": "3", "blobId": "0" * 40},
        {"rfilename": "a", "size": 3, "blobId": "../../evil"},
        {"rfilename": "a", "size": 3, "lfs": {"size": 3, "sha256": "../x", "pointerSize": 1}},
        {"rfilename": "README.md", "size": 3, "blobId": "0" * 40},
        {"size": 3},
        {"rfilename": "a", "size": 3, "lfs": {"oid": "x"}},
        {"rfilename": 3, "size": 3, "blobId": "0" * 40},
    ],
)
def test_a_listing_without_sense_is_refused(served: FakeHub, sibling: dict[str, object]) -> None:
    served.add(REPO, checkpoint_files())
    served.extra_siblings = [sibling]
    refused()
    assert served.downloads() == []
