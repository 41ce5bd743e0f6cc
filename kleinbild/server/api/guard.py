"""Who may ask: the key, the origins of other sites, and refusals in the form of the face that was asked.

A browser sends a page's requests to this server whatever site the page is from. Without `cors` only our own
origin may; a request without an Origin comes from no browser's page and passes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from kleinbild.errors import KleinbildError
from kleinbild.server.api.errors import ApiError, error_answer
from kleinbild.server.api.fields import too_large
from kleinbild.server.generate import attached
from kleinbild.server.headers import plain_answer
from kleinbild.server.host import LOOPBACK_NAMES, is_loopback

MIN_KEY_CHARS = 16
MAX_KEY_BYTES = 1024
PREFIXES = ("/jobs/", "/v1/", "/sdapi/")
PATHS = frozenset({"/jobs", "/metrics", "/openapi.json", "/healthz"})
OPEN_PATHS = frozenset({"/healthz"})  # tells no more than whether there is a server
OWN_TOKEN_PATHS = frozenset({attached.PATH})  # where the key is of no use, and another secret is asked for
CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="Kleinbild"'}
CORS_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}

_log = logging.getLogger("kleinbild.server")


def is_api(path: str) -> bool:
    """Whether `path` belongs to the API, not to the site."""
    return path in PATHS or path.startswith(PREFIXES)


def read_key(path: Path) -> str:
    """The key in the file `path`: its one line. Raises KleinbildError when it cannot be one."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise KleinbildError(f"{path}: cannot be read ({error.strerror})") from None
    return check_key(data.decode("latin-1").strip(), str(path))


def check_key(key: str, where: str) -> str:
    """`key`, if it can be one. Raises KleinbildError naming `where` it comes from."""
    if not MIN_KEY_CHARS <= len(key) <= MAX_KEY_BYTES or not all("!" <= c <= "~" for c in key):
        raise KleinbildError(
            f"{where}: a key is {MIN_KEY_CHARS} or more ASCII characters without spaces; "
            "`openssl rand -hex 32` makes one"
        )
    return key


def key_fits(header: str | None, key: str) -> bool:
    """Whether an Authorization `header` (Bearer, or Basic with any user) brings `key`; in constant time."""
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("latin-1").partition(":")[2]
        except (binascii.Error, ValueError):
            given = ""
    elif scheme.lower() != "bearer":
        given = ""
    digests = [hashlib.sha256(text.strip().encode("utf-8", "replace")).digest() for text in (given, key)]
    return hmac.compare_digest(*digests)


def api_guard(
    canonical: str, key: str | None, cors: Collection[str], on_answer: Callable[[str, int], None]
) -> Middleware:
    """The middleware. `canonical` is our own origin; `on_answer` gets path and status of every API answer."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path
        if not is_api(path):
            wanted = key is not None and path not in OWN_TOKEN_PATHS
            if wanted and not key_fits(request.headers.get(hdrs.AUTHORIZATION), key or ""):
                return plain_answer(401, "This server wants its key (as the password).", CHALLENGE)
            return await handler(request)
        answer = await _answer(request, handler)
        on_answer(path, answer.status)
        return answer

    async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path
        try:
            if (origin := request.headers.get(hdrs.ORIGIN)) is not None:
                if origin in cors:
                    if request.method == "OPTIONS":
                        return web.Response(status=204, headers=CORS_HEADERS)
                elif not _is_own(origin, canonical):
                    raise ApiError(403, "foreign-origin", "Pages of other sites may not ask here (--cors).")
            wanted = key is not None and path not in OPEN_PATHS
            if wanted and not key_fits(request.headers.get(hdrs.AUTHORIZATION), key or ""):
                raise ApiError(401, "no-key", "This server wants its key.", headers=CHALLENGE)
            return await handler(request)
        except ApiError as error:
            return error_answer(path, error)
        except web.HTTPRequestEntityTooLarge:
            return error_answer(path, too_large(request))
        except web.HTTPException as error:
            return error_answer(path, ApiError(error.status, "bad-request", error.reason))
        except ConnectionError:
            raise
        except Exception:
            _log.exception("a request failed")
            return error_answer(path, ApiError(500, "internal", "A fault of the server's own."))

    return guard


def allow_origins(cors: Collection[str]) -> Callable[[web.Request, web.StreamResponse], object]:
    """Signal handler for on_response_prepare: lets pages of the origins in `cors` read an API answer."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin in cors and is_api(request.path):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers.add("Vary", "Origin")

    return prepare


def check_origin(origin: str) -> str:
    """`origin` as a browser would send it. Raises KleinbildError."""
    try:
        url = URL(origin)
        if url.scheme in ("http", "https") and url.host and str(url.origin()) == origin:
            return origin
    except ValueError:
        pass
    raise KleinbildError(f"--cors {origin}: no origin; write it as https://example.org, without a path")


def _is_own(origin: str, canonical: str) -> bool:
    if origin == canonical:
        return True
    try:
        url, home = URL(origin), URL(canonical)
        return (
            is_loopback(home.host or "")
            and url.host in LOOPBACK_NAMES
            and (url.scheme, url.port) == (home.scheme, home.port)
        )
    except ValueError:
        return False
