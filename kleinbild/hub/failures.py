"""What the hub library raises, told as one line that says what to do.

Nothing that a server or the library wrote is repeated: it may be long, hold signed addresses or echo a
token. For the same reason the library's loggers are silent while it works, whatever they were set to.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from kleinbild.errors import KleinbildError
from kleinbild.hub.reference import Reference

LOGGERS = ("huggingface_hub", "httpx2", "httpcore2", "filelock")
SILENT = logging.CRITICAL + 1


class Unreachable(KleinbildError):
    """The hub did not answer, or not in its right mind: what the cache holds may serve instead.

    `what` went wrong and what `to_do` make the message.
    """

    def __init__(self, what: str, to_do: str) -> None:
        super().__init__(f"{what}; {to_do}")
        self.what = what
        self.to_do = to_do


@contextmanager
def told(reference: Reference) -> Iterator[None]:
    """Turns what the block's calls of the library raise into a KleinbildError about `reference`."""
    levels = [(logging.getLogger(name), logging.getLogger(name).level) for name in LOGGERS]
    for logger, _ in levels:
        logger.setLevel(SILENT)
    try:
        yield
    except HfHubHTTPError as error:
        raise _from_status(reference, error) from None
    except OfflineModeIsEnabled:
        raise Unreachable(f"{reference}: HF_HUB_OFFLINE is set", "unset it to fetch") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unreachable(
            f"{reference}: {host()} cannot be reached ({type(error).__name__})",
            "check the network (and HF_ENDPOINT) and run again: what was fetched is kept",
        ) from None
    except (EntryNotFoundError, FileMetadataError):
        raise Unreachable(
            f"{reference}: {host()} does not answer as a hub does",
            "check HF_ENDPOINT and the network's proxy",
        ) from None
    except OSError as error:
        raise KleinbildError(
            f"{reference}: {error.filename or constants.HF_HUB_CACHE}: {os_problem(error)}"
        ) from None
    finally:
        for logger, level in levels:
            logger.setLevel(level)


def os_problem(error: OSError) -> str:
    """What is wrong with the cache's disk, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room, or set HF_HUB_CACHE to a folder on another disk, and run again"
    return f"{error.strerror or type(error).__name__}; set HF_HUB_CACHE to a folder that can be written"


def host() -> str:
    """The hub's host and port, without the user and password that HF_ENDPOINT may hold."""
    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2] or "the hub"


def _from_status(reference: Reference, error: HfHubHTTPError) -> KleinbildError:
    status = error.response.status_code
    if isinstance(error, RevisionNotFoundError):
        return KleinbildError(
            f"{reference}: the repository has no revision {reference.revision!r}; "
            "look up its branches and tags on the hub"
        )
    if isinstance(error, GatedRepoError) or status in (401, 403):
        return KleinbildError(
            f"{reference}: the hub gives no access ({status}): the model is gated, private or not there; "
            f"accept its terms at {host()}/{reference.repo}, then log in with `hf auth login` or set HF_TOKEN"
        )
    if status == 404:
        return KleinbildError(
            f"{reference}: the hub does not have it (404); check owner, name and revision, "
            "and log in with `hf auth login` or set HF_TOKEN when the model is private"
        )
    if status == 429:
        return KleinbildError(
            f"{reference}: the hub refuses more requests for now (429); wait some minutes and run again, "
            "or log in with `hf auth login`: what was fetched is kept"
        )
    if status >= 500:
        return Unreachable(
            f"{reference}: {host()} is out of order ({status})", "run again later: what was fetched is kept"
        )
    return KleinbildError(f"{reference}: {host()} refuses the request ({status}); check HF_ENDPOINT")
