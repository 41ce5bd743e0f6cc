"""What a repository holds at one commit, as the hub lists it: hostile input until it has passed here.

A listing is pinned: names, sizes and content hashes of one commit, so that whatever moves afterwards is
noticed. Which of the files are needed is choose.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kleinbild.errors import KleinbildError
from kleinbild.hub.reference import is_commit

MAX_FILES = 100_000
MAX_PATH_CHARACTERS = 1024
MAX_FILE_BYTES = 1 << 44
MAX_LICENCE_CHARACTERS = 80
_CONTENT_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class RemoteFile:
    """One file: its path in the repository, its bytes, and its content hash.

    `oid` is what the hub and its cache name the content by: the SHA-256 of an LFS file (64 digits) or git's
    blob hash of a small one (40 digits).
    """

    path: str
    bytes: int
    oid: str


@dataclass(frozen=True)
class Listing:
    """The files of one commit by path, and the licence as the model card states it ("" when it does not)."""

    commit: str
    licence: str
    files: dict[str, RemoteFile]

    def to_json(self) -> dict[str, Any]:
        """JSON values from which listing_from_json makes the listing again."""
        files = [[file.path, file.bytes, file.oid] for file in self.files.values()]
        return {"commit": self.commit, "licence": self.licence, "files": files}


def make_listing(
    where: str, commit: object, licence: object, files: Iterable[tuple[object, object, object]]
) -> Listing:
    """A checked listing of (path, bytes, content hash) triples.

    Raises KleinbildError, which begins with `where`, for anything that no honest hub says; a path that
    could leave the folder it is written to is one such thing.
    """
    if not isinstance(commit, str) or not is_commit(commit):
        raise _nonsense(where, f"the commit {_shown(commit)}")
    checked: dict[str, RemoteFile] = {}
    for path, size, oid in files:
        if not isinstance(path, str) or not _is_safe(path):
            raise KleinbildError(
                f"{where}: lists a file named {_shown(path)}, which may lie outside the model's folder; "
                "nothing was fetched, use another repository"
            )
        if type(size) is not int or not 0 <= size <= MAX_FILE_BYTES:
            raise _nonsense(where, f"{_shown(size)} bytes for {_shown(path)}")
        if not isinstance(oid, str) or not _CONTENT_HASH.fullmatch(oid):
            raise _nonsense(where, f"no content hash for {_shown(path)}")
        if path in checked or len(checked) == MAX_FILES:
            raise _nonsense(where, f"{_shown(path)} twice, or too many files")
        checked[path] = RemoteFile(path, size, oid)
    text = licence if isinstance(licence, str) else ""
    return Listing(
        commit, text if text.isprintable() and len(text) <= MAX_LICENCE_CHARACTERS else "", checked
    )


def listing_from_json(where: str, value: object) -> Listing:
    """The listing that Listing.to_json made; raises KleinbildError for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("files"), list):
        raise _nonsense(where, "no list of files")
    if not all(isinstance(entry, list) and len(entry) == 3 for entry in value["files"]):
        raise _nonsense(where, "a damaged list of files")
    return make_listing(where, value.get("commit"), value.get("licence"), map(tuple, value["files"]))


def _is_safe(path: str) -> bool:
    return (
        0 < len(path) <= MAX_PATH_CHARACTERS
        and path.isprintable()
        and "\\" not in path
        and all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in path.split("/"))
    )


def _shown(value: object) -> str:
    return repr(value)[:120]


def _nonsense(where: str, what: str) -> KleinbildError:
    return KleinbildError(f"{where}: the hub's answer makes no sense ({what}); try again later")
