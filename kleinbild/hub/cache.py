"""One repository in the hub library's own cache, so that nothing is fetched that any tool fetched before.

Layout, the library's: blobs/<content hash>, snapshots/<commit>/<path> (links to blobs), refs/<branch>. Ours
lies beside it in .kleinbild/: unfinished downloads, the listing of each commit for runs without network,
which files have been verified, and folders of links that hold just what a build needs. Nothing here talks to
the hub.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from kleinbild.errors import KleinbildError
from kleinbild.hub.listing import Listing, RemoteFile, listing_from_json, make_listing
from kleinbild.hub.reference import Reference, is_commit
from kleinbild.hub.verify import Advance, content_hash, ignore

OWN_FOLDER = ".kleinbild"
RECORD_MAX_BYTES = 64 << 20


class RepoCache:
    """What the cache holds of `reference`'s repository."""

    def __init__(self, reference: Reference) -> None:
        self._name = reference.name
        self.root = Path(constants.HF_HUB_CACHE).expanduser()
        self._folder = self.root / repo_folder_name(repo_id=reference.repo, repo_type="model")
        self._own = self._folder / OWN_FOLDER
        self._verified = self._own / "verified.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other builds off this repository; raises KleinbildError when one is at it."""
        self._own.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._own / "lock", timeout=0):
                yield
        except Timeout:
            raise KleinbildError(
                f"{self._folder}: another build is fetching this model; wait until it has ended"
            ) from None

    def snapshot(self, commit: str) -> Path:
        """The folder of `commit`, laid out as the repository is."""
        return self._folder / "snapshots" / commit

    def blob(self, file: RemoteFile) -> Path:
        """Where the content of `file` lies, or will."""
        return self._folder / "blobs" / file.oid

    def part(self, file: RemoteFile) -> Path:
        """Where the content of `file` is collected."""
        return self._own / f"{file.oid}.part"

    def find(self, commit: str, file: RemoteFile) -> Path | None:
        """The file in the snapshot of `commit`, or else its blob; None when neither is there in its size."""
        for path in (self.snapshot(commit) / file.path, self.blob(file)):
            if path.is_file() and path.stat().st_size == file.bytes:
                return path
        return None

    def missing_bytes(self, commit: str, file: RemoteFile) -> int:
        """How many bytes of `file` are yet to be fetched."""
        if self.find(commit, file) is not None:
            return 0
        part = self.part(file)
        have = part.stat().st_size if part.is_file() else 0
        return file.bytes - have if have <= file.bytes else file.bytes

    def remove(self, commit: str, file: RemoteFile) -> None:
        """Forgets `file`, because its content is not what it should be."""
        for path in (self.snapshot(commit) / file.path, self.blob(file), self.part(file)):
            path.unlink(missing_ok=True)

    def is_verified(self, path: Path, file: RemoteFile) -> bool:
        """Whether `path` was found to hold the content of `file` and has not been written since."""
        return _read_json(self._verified).get(self._key(path)) == _stamp(path, file)

    def verify(self, path: Path, file: RemoteFile, advance: Advance = ignore) -> bool:
        """Whether `path` holds the content of `file`; remembered until the file is written again."""
        if content_hash(path, len(file.oid), advance) != file.oid:
            return False
        self._mark_verified(path, file)
        return True

    def accept(self, file: RemoteFile) -> bool:
        """Makes the collected part of `file` its blob if the content is right; drops it otherwise."""
        part, blob = self.part(file), self.blob(file)
        if content_hash(part, len(file.oid)) != file.oid:
            part.unlink()
            return False
        blob.parent.mkdir(parents=True, exist_ok=True)
        part.replace(blob)
        self._mark_verified(blob, file)
        return True

    def commit_of(self, reference: Reference) -> str | None:
        """The commit that the reference's revision meant when the hub was last asked."""
        if is_commit(reference.revision):
            return reference.revision
        path = self._folder / "refs" / reference.revision
        commit = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
        return commit if is_commit(commit) else None

    def remember(self, listing: Listing) -> None:
        """Keeps `listing` for runs without network."""
        _write_json(self._record(listing.commit), listing.to_json())

    def point(self, reference: Reference, commit: str) -> None:
        """Notes that the reference's revision means `commit`, whose files are all here."""
        if not is_commit(reference.revision):
            _write(self._folder / "refs" / reference.revision, commit)

    def view(self, commit: str, files: Iterable[RemoteFile]) -> Path:
        """A folder named as the repository is, with links to `files` of the snapshot and nothing else."""
        folder = self._own / commit / self._name
        for file in files:
            target, link = self.snapshot(commit) / file.path, folder / file.path
            if link.exists() and link.samefile(target):
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            try:
                link.symlink_to(os.path.relpath(target, link.parent))
            except OSError:  # a disk without symbolic links
                link.hardlink_to(target)
        return folder

    def drop_parts(self) -> None:
        """Removes what is left of downloads that nobody will continue."""
        for part in self._own.glob("*.part"):
            part.unlink()

    def recall(self, commit: str) -> Listing | None:
        """The listing of `commit` as remembered, or what its snapshot holds when another tool fetched it."""
        record = self._record(commit)
        if record.is_file():
            with suppress(KleinbildError):  # a damaged record is as good as none
                return listing_from_json(str(record), _read_json(record))
        folder = self.snapshot(commit)
        # A link names its blob, which is named by its hash; a file that is no link cannot be verified.
        links = [path for path in sorted(folder.rglob("*")) if path.is_symlink() and path.is_file()]
        if not links:
            return None
        return make_listing(
            str(folder),
            commit,
            "",
            ((p.relative_to(folder).as_posix(), p.stat().st_size, p.readlink().name) for p in links),
        )

    def _record(self, commit: str) -> Path:
        return self._own / f"{commit}.json"

    def _mark_verified(self, path: Path, file: RemoteFile) -> None:
        _write_json(self._verified, {**_read_json(self._verified), self._key(path): _stamp(path, file)})

    def _key(self, path: Path) -> str:
        return os.path.relpath(path.resolve(), self.root.resolve())


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; empty for a file that is missing or damaged, which is made anew."""
    if not path.is_file() or path.stat().st_size > RECORD_MAX_BYTES:
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write(path, json.dumps(value, indent=1))


def _stamp(path: Path, file: RemoteFile) -> list[object]:
    status = path.stat()
    return [file.oid, status.st_size, status.st_mtime_ns]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
