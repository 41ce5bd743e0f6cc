"""Files of the site over HTTP: whole, in part, or "you have it already".

Written out rather than left to aiohttp's file answer, which ignores If-Range with an ETag, follows symbolic
links and serves compressed siblings. A path is served only if every component is a plain name and no link
lies on the way, so there is nothing to escape with.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path, PurePosixPath

from aiohttp import web
from aiohttp.typedefs import Handler

from kleinbild.server.headers import CACHE_IMMUTABLE, CACHE_REVALIDATE, plain_answer

CHUNK_BYTES = 1 << 20
MAX_PATH_CHARS = 512
MIME_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wgsl": "text/wgsl; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".bin": "application/octet-stream",
    ".gz": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
_CONTENT_NAME = re.compile(r"w/([0-9a-f]{64})\.[a-z]+")


class RangeNotSatisfiable(Exception):
    """The asked range lies outside the file."""


def site_path(raw_path: str) -> str | None:
    """The file below the site's root that a request's undecoded path names, or None.

    Only plain ASCII names are ever published, so an escaped character (%2e, %2f, %00) names nothing.
    """
    path = raw_path.partition("?")[0]
    if path == "/":
        return "index.html"
    if not path.startswith("/") or len(path) > MAX_PATH_CHARS:
        return None
    relative = path[1:]
    return relative if all(_NAME.fullmatch(part) for part in relative.split("/")) else None


def open_below(root: Path, relative: str) -> int | None:
    """A read descriptor of the regular file `root`/`relative`; None without one or with a link on the way."""
    *folders, name = relative.split("/")
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: a FIFO in the folder must not hang the server before fstat refuses it.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    finally:
        if folder >= 0:
            os.close(folder)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def entity_tag(relative: str, info: os.stat_result) -> str:
    """A strong ETag: the digest in a content-addressed name, else time and size."""
    content = _CONTENT_NAME.fullmatch(relative)
    return f'"{content[1]}"' if content else f'"{info.st_mtime_ns:x}-{info.st_size:x}"'


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """[start, end) of a single byte range of a file of `size` bytes; None when the whole file is the answer.

    A header that is malformed, of another unit or of several ranges is ignored, as RFC 9110 14.2 allows.
    Raises RangeNotSatisfiable when the range has no byte of the file.
    """
    match = _RANGE.fullmatch(header) if header else None
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), size
        if match[2]:
            if int(match[2]) < start:
                return None
            end = min(int(match[2]) + 1, size)
    if start >= end:
        raise RangeNotSatisfiable
    return start, end


def static_files(root: Path) -> Handler:
    """Handler for every path: serves the files below `root`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return plain_answer(405, "This site only answers GET and HEAD.", {"Allow": "GET, HEAD"})
        relative = site_path(request.raw_path)
        file = open_below(root, relative) if relative is not None else None
        if relative is None or file is None:
            return plain_answer(404, f"There is nothing at {request.raw_path[:MAX_PATH_CHARS]}")
        try:
            return await _answer(request, relative, file)
        finally:
            os.close(file)

    return handler


async def _answer(request: web.Request, relative: str, file: int) -> web.StreamResponse:
    info = os.fstat(file)
    size = info.st_size
    tag = entity_tag(relative, info)
    headers = {
        "ETag": tag,
        "Cache-Control": CACHE_IMMUTABLE if relative.startswith(("v/", "w/")) else CACHE_REVALIDATE,
        "Accept-Ranges": "bytes",
    }
    if _matches(request.headers.get("If-None-Match"), tag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = MIME_TYPES.get(PurePosixPath(relative).suffix, "application/octet-stream")
    start, end, status = 0, size, 200
    if request.method == "GET" and request.headers.get("If-Range", tag) == tag:
        try:
            wanted = parse_range(request.headers.get("Range"), size)
        except RangeNotSatisfiable:
            outside = f"{request.raw_path[:MAX_PATH_CHARS]} has {size} bytes, none of them in that range."
            return plain_answer(416, outside, {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
        if wanted:
            start, end, status = *wanted, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    await response.prepare(request)
    if request.method == "GET":
        await _send(response, file, start, end)
    await response.write_eof()
    return response


async def _send(response: web.StreamResponse, file: int, start: int, end: int) -> None:
    while start < end:
        chunk = await asyncio.to_thread(os.pread, file, min(CHUNK_BYTES, end - start), start)
        if not chunk:  # the file was cut while we sent it: break off, so that the client sees a short body
            raise ConnectionResetError("the file shrank while it was sent")
        await response.write(chunk)
        start += len(chunk)


def _matches(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match `header` names `tag` (weak comparison, RFC 9110 13.1.2)."""
    if header is None:
        return False
    return header.strip() == "*" or tag in _ENTITY_TAG.findall(header)
