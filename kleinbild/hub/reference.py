"""`hf:owner/name[@revision]`, as a user types it.

The names become a folder of the cache and a part of URLs, so nothing passes that could leave either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kleinbild.errors import KleinbildError

PREFIX = "hf:"
DEFAULT_REVISION = "main"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPO = re.compile(rf"{_NAME}/{_NAME}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,198}[A-Za-z0-9_+-])?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """A model repository (owner/name) and a branch, tag or commit of it."""

    repo: str
    revision: str = DEFAULT_REVISION

    def __str__(self) -> str:
        suffix = "" if self.revision == DEFAULT_REVISION else f"@{self.revision}"
        return f"{PREFIX}{self.repo}{suffix}"

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.repo.partition("/")[2]


def is_hub_source(source: str) -> bool:
    """Whether `source` is meant for the hub."""
    return source.startswith(PREFIX)


def is_commit(revision: object) -> bool:
    """Whether `revision` is a whole commit hash, which can never mean something else later."""
    return isinstance(revision, str) and _COMMIT.fullmatch(revision) is not None


def parse_reference(source: str) -> Reference:
    """The repository and revision that `source` names; raises KleinbildError when it is spelt otherwise."""
    repo, at, revision = source.removeprefix(PREFIX).partition("@")
    if not at:
        revision = DEFAULT_REVISION
    elif not _REVISION.fullmatch(revision) or any(bad in revision for bad in ("..", "//", "/.", "./")):
        raise KleinbildError(
            f"{source!r}: {revision!r} is no branch, tag or commit; expected hf:owner/name@revision"
        )
    if not is_hub_source(source) or not _REPO.fullmatch(repo) or "--" in repo or ".." in repo:
        raise KleinbildError(
            f"{source!r}: expected hf:owner/name or hf:owner/name@revision, "
            "as in hf:black-forest-labs/FLUX.2-klein-4B"
        )
    return Reference(repo, revision)
