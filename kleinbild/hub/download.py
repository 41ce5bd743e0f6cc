"""One file from the hub into the cache: resumed where it broke off, bounded, verified before it counts.

The hub library drops an unfinished file when the process ends, which costs gigabytes here; so the bytes are
collected in a file of ours, over the library's session and with its headers, and given to its cache when
their hash is right. Which files, and what is already there, is fetch.py's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not marked as exported
    build_hf_headers,
    hf_raise_for_status,
)

from kleinbild import __version__
from kleinbild.errors import KleinbildError
from kleinbild.hub.cache import RepoCache
from kleinbild.hub.failures import host
from kleinbild.hub.listing import RemoteFile
from kleinbild.hub.reference import Reference
from kleinbild.hub.verify import Advance

# Who asks, as the library wants to be told.
LIBRARY_NAME = "kleinbild"
# How long to wait before each further attempt that brought no byte.
WAITS_SECONDS: tuple[float, ...] = (1, 2, 4, 8, 16, 30)
TIMEOUT_SECONDS = 30
TRANSIENT_STATUSES = (408, 429)


class _RangeRefused(httpx2.HTTPError):
    """The server does not continue what is here."""


class Downloader:
    """Fetches files of one commit."""

    def __init__(self, reference: Reference, commit: str, cache: RepoCache) -> None:
        self._reference = reference
        self._commit = commit
        self._cache = cache
        self._headers = {**hub_headers(), "Accept-Encoding": "identity"}

    def fetch(self, file: RemoteFile, advance: Advance) -> None:
        """Brings `file` into the commit's snapshot, verified if it had to be downloaded.

        `advance` is told the bytes as they come. Raises KleinbildError when the hub gives another content
        than it lists, twice; and whatever the library raises (failures.told) when the hub fails for long.
        """
        if self._cache.find(self._commit, file) is None:
            self._collect(file, advance)
            if not self._cache.accept(file):
                self._collect(file, advance)
                if not self._cache.accept(file):
                    raise self._changed(file, "its content has another hash, twice in a row")
        if not (self._cache.snapshot(self._commit) / file.path).is_file():
            self._insisting(file, advance, lambda: self._check_unchanged(file))
            hf_hub_download(
                self._reference.repo,
                file.path,
                revision=self._commit,
                library_name=LIBRARY_NAME,
                library_version=__version__,
            )

    def _collect(self, file: RemoteFile, advance: Advance) -> None:
        """Brings the part of `file` to its full length."""
        part = self._cache.part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        if part.stat().st_size > file.bytes:
            part.write_bytes(b"")
        self._insisting(file, advance, lambda: self._check_unchanged(file))
        self._insisting(file, advance, lambda: self._stream(file, part, advance))

    def _insisting(self, file: RemoteFile, advance: Advance, attempt: Callable[[], None]) -> None:
        """Runs `attempt` until it ends well; gives up when it brought nothing after all the waits."""
        part = self._cache.part(file)
        failures = 0
        while True:
            before = _size(part)
            try:
                return attempt()
            except (httpx2.TransportError, _RangeRefused, HfHubHTTPError) as error:
                if isinstance(error, HfHubHTTPError) and not _is_transient(error.response.status_code):
                    raise
                failures = 0 if _size(part) > before else failures
                if failures == len(WAITS_SECONDS):
                    raise
                if isinstance(error, _RangeRefused):
                    part.write_bytes(b"")
            advance(0, f"{host()} fails, trying again")
            time.sleep(WAITS_SECONDS[failures])
            failures += 1

    def _check_unchanged(self, file: RemoteFile) -> None:
        """Raises KleinbildError when the hub would give something else than it listed."""
        metadata = get_hf_file_metadata(self._url(file), headers=self._headers, timeout=TIMEOUT_SECONDS)
        if metadata.commit_hash != self._commit:
            raise self._changed(file, "it belongs to another commit")
        if metadata.etag != file.oid or metadata.size not in (None, file.bytes):
            raise self._changed(file, "it has another hash or size")

    def _stream(self, file: RemoteFile, part: Path, advance: Advance) -> None:
        """Appends what is missing of `file` to `part`, in one request."""
        have = _size(part)
        if have == file.bytes:
            return
        headers = {**self._headers, "Range": f"bytes={have}-"} if have else self._headers
        with get_session().stream(
            "GET", self._url(file), headers=headers, timeout=TIMEOUT_SECONDS
        ) as response:
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                raise _RangeRefused("416")
            hf_raise_for_status(response)
            skip = 0
            if have and response.status_code != httpx2.codes.PARTIAL_CONTENT:
                skip = have  # the server gives the whole again
            elif have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise _RangeRefused("another range")
            with part.open("ab") as target:
                for chunk in response.iter_bytes():
                    news = chunk[skip:]
                    skip = max(0, skip - len(chunk))
                    if have + len(news) > file.bytes:
                        raise self._changed(file, "more bytes come than it has")
                    target.write(news)
                    have += len(news)
                    advance(len(news), file.path)
        if have < file.bytes:
            raise httpx2.RemoteProtocolError("the answer ended early")

    def _url(self, file: RemoteFile) -> str:
        return hf_hub_url(self._reference.repo, file.path, revision=self._commit)

    def _changed(self, file: RemoteFile, how: str) -> KleinbildError:
        self._cache.part(file).unlink(missing_ok=True)
        return KleinbildError(
            f"{self._reference}: {file.path} is not what the hub lists at {self._commit[:12]} ({how}); "
            "nothing of it is used; run again later or name another revision"
        )


def hub_headers() -> dict[str, str]:
    """The library's headers: who asks, and the user's token if there is one.

    Raises KleinbildError for a token that cannot be one, without repeating it.
    """
    headers: dict[str, str] = build_hf_headers(library_name=LIBRARY_NAME, library_version=__version__)
    token = headers.get("authorization", "")
    if not token.isascii() or not token.isprintable():
        raise KleinbildError(
            f"the hub's token (HF_TOKEN, or {constants.HF_TOKEN_PATH}) holds characters that no token has; "
            "set it again, or log in with `hf auth login`"
        )
    return headers


def _is_transient(status: int) -> bool:
    return status >= 500 or status in TRANSIENT_STATUSES


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
