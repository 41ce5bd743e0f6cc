"""What may be typed after hf:, and what may not."""

from __future__ import annotations

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.hub.reference import Reference, parse_reference


@pytest.mark.parametrize(
    ("source", "repo", "revision"),
    [
        ("hf:owner/name", "owner/name", "main"),
        (
            "hf:black-forest-labs/FLUX.2-klein-4B@v1.0",
            "black-forest-labs/FLUX.2-klein-4B",
            "v1.0",
        ),
        ("hf:a/b@refs/pr/12", "a/b", "refs/pr/12"),
        ("hf:a_1/b.c@" + "0" * 40, "a_1/b.c", "0" * 40),
    ],
)
def test_names_that_are_read(source: str, repo: str, revision: str) -> None:
    reference = parse_reference(source)
    assert reference == Reference(repo, revision)
    assert reference.name == repo.split("/")[1]
    assert str(reference) == source


NO_NAMES = [
    "",
    "name",
    "owner/",
    "/name",
    "a/b/c",
    "../b",
    "a/..",
    "a--b/c",
    "a/b..c",
    ".a/b",
    "a/b.",
    "a b/c",
]
NO_REVISIONS = [
    "",
    "..",
    "a/../b",
    "/a",
    "a//b",
    "a\\b",
    "a b",
    "-a",
    "a/",
    ".hidden",
    "a/.b",
    "a@b",
    "ä",
    "a\n",
]


@pytest.mark.parametrize(
    "source",
    [
        *(f"hf:{name}" for name in NO_NAMES),
        *(f"hf:a/b@{revision}" for revision in NO_REVISIONS),
        f"hf:a/{'b' * 97}",
        f"hf:a/b@{'c' * 201}",
    ],
)
def test_names_that_are_none(source: str) -> None:
    with pytest.raises(KleinbildError, match="expected hf:owner/name"):
        parse_reference(source)
