"""From a reference to a whole, verified model in the cache: list, choose, announce, fetch, verify.

Everything comes from the one commit that the revision meant at the start. When the hub cannot be reached, the
commit that it meant the last time serves, if every file of it is there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import HfHubHTTPError

from kleinbild import __version__
from kleinbild.errors import KleinbildError
from kleinbild.hub.cache import RepoCache
from kleinbild.hub.choose import choose
from kleinbild.hub.download import LIBRARY_NAME, TIMEOUT_SECONDS, Downloader, hub_headers
from kleinbild.hub.failures import Unreachable, host, told
from kleinbild.hub.listing import Listing, RemoteFile, make_listing
from kleinbild.hub.plan import Announce, Plan
from kleinbild.hub.reference import Reference
from kleinbild.hub.verify import Advance, ignore
from kleinbild.progress import Progress


def fetch_model(reference: Reference, announce: Announce) -> Path:
    """Does what kleinbild.hub.fetch promises for `reference`."""
    cache = RepoCache(reference)
    with told(reference), cache.locked():
        listing, offline = _list(reference, cache)
        supply = _Supply(reference, listing, cache, offline)
        files = choose(str(reference), listing, supply.read)
        supply.drop_damaged(files)
        missing_bytes = sum(cache.missing_bytes(listing.commit, file) for file in files)
        announce(
            Plan(
                reference=reference,
                commit=listing.commit,
                licence=listing.licence,
                files=len(files),
                bytes=sum(file.bytes for file in files),
                missing_bytes=missing_bytes,
                offline=offline.what if offline else "",
            )
        )
        supply.bring(files, missing_bytes)
        if offline is None:
            cache.point(reference, listing.commit)
            cache.drop_parts()
        return cache.view(listing.commit, files)


def _list(reference: Reference, cache: RepoCache) -> tuple[Listing, Unreachable | None]:
    """The listing, and why it had to come from the cache (None when it did not)."""
    try:
        with told(reference):
            listing = _ask(reference)
    except Unreachable as error:
        commit = cache.commit_of(reference)
        recalled = cache.recall(commit) if commit is not None else None
        if recalled is None:
            raise Unreachable(f"{error.what}, and the cache does not hold the model", error.to_do) from None
        return recalled, error
    cache.remember(listing)
    return listing, None


def _ask(reference: Reference) -> Listing:
    hub_headers()  # refuses a malformed token before the library puts it into an error
    api = HfApi(library_name=LIBRARY_NAME, library_version=__version__)
    try:
        info = api.model_info(
            reference.repo, revision=reference.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
        licence = _licence(info)
        files = [
            (sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
            if sibling.lfs
            else (sibling.rfilename, sibling.size, sibling.blob_id)
            for sibling in info.siblings or []
        ]
    except HfHubHTTPError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KleinbildError(
            f"{reference}: {host()} gives an answer that the hub's library does not understand; "
            "check HF_ENDPOINT, or try again later"
        ) from None
    return make_listing(str(reference), info.sha, licence, files)


def _licence(info: ModelInfo) -> str:
    """The licence as the model card states it, by its own name where it is none of the known ones."""
    card = info.card_data
    stated = [card.license_name, card.license] if card is not None else []
    tagged = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return next((text for text in (*stated, *tagged) if isinstance(text, str) and text), "")


class _Supply:
    """The files of one listing, from the cache or the hub; every one is verified before it is given."""

    def __init__(
        self, reference: Reference, listing: Listing, cache: RepoCache, offline: Unreachable | None
    ) -> None:
        self._reference = reference
        self._commit = listing.commit
        self._cache = cache
        self._offline = offline
        self._downloader = Downloader(reference, listing.commit, cache)

    def read(self, file: RemoteFile) -> bytes:
        """The content of a small file."""
        return self._bring(file, ignore).read_bytes()

    def drop_damaged(self, files: list[RemoteFile]) -> None:
        """Verifies what the cache holds of `files` and was not verified before; removes what is damaged."""
        unverified = [
            (path, file)
            for file in files
            if (path := self._cache.find(self._commit, file)) and not self._cache.is_verified(path, file)
        ]
        if not unverified:
            return
        with Progress(sum(file.bytes for _, file in unverified), "verifying the cache") as progress:
            for path, file in unverified:
                progress.advance(0, file.path)
                if not self._cache.verify(path, file, progress.advance):
                    self._refuse_offline(f"{path} is damaged")
                    self._cache.remove(self._commit, file)

    def bring(self, files: list[RemoteFile], missing_bytes: int) -> None:
        """Makes all `files` be there; raises KleinbildError when network or disk do not allow it."""
        absent = sum(not self._path(file).is_file() for file in files)
        if absent:
            self._refuse_offline(f"{absent} of the model's {len(files)} files are not in the cache")
        self._check_room(missing_bytes)
        if missing_bytes:
            with Progress(missing_bytes, "fetching") as progress:
                for file in files:
                    self._bring(file, progress.advance)
        else:
            for file in files:
                self._bring(file, ignore)

    def _bring(self, file: RemoteFile, advance: Advance) -> Path:
        path = self._path(file)
        for _ in range(2):
            if not path.is_file():
                self._refuse_offline(f"{file.path} is not in the cache")
                self._downloader.fetch(file, advance)
            if self._cache.is_verified(path, file) or self._cache.verify(path, file):
                return path
            self._refuse_offline(f"{path} is damaged")
            self._cache.remove(self._commit, file)
        raise KleinbildError(f"{path}: damaged again as soon as it was fetched; check the disk")

    def _refuse_offline(self, what: str) -> None:
        """Raises KleinbildError when only the cache is left; `what` keeps it from serving."""
        if self._offline is not None:
            raise Unreachable(f"{self._offline.what}, and {what}", self._offline.to_do)

    def _path(self, file: RemoteFile) -> Path:
        return self._cache.snapshot(self._commit) / file.path

    def _check_room(self, missing_bytes: int) -> None:
        free = shutil.disk_usage(self._cache.root).free
        if missing_bytes > free:
            raise KleinbildError(
                f"{self._reference}: {missing_bytes:,} bytes are to be fetched and {self._cache.root} has "
                f"room for {free:,}; make room, or set HF_HUB_CACHE to a folder on another disk"
            )
