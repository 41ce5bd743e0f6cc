"""A server that speaks as much of the hub's API as its library asks for, on 127.0.0.1, with faults to order.

Large files answer with a redirect to a second server, as on the real hub, where no token may arrive. Tests
put files in, start it, and read what was asked for in `requests`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

LARGE_SUFFIXES = (".safetensors", ".onnx", ".onnx_data", "tokenizer.json")
TOKEN = "hf_SecretOfTheUser0123456789"
FOR_EVER = -1


@dataclass(frozen=True)
class Request:
    """One request, at the "hub" or its "cdn"; headers that were absent are ""."""

    server: str
    method: str
    path: str
    range: str
    authorization: str


@dataclass
class FakeHub:
    """What is served: `repos`: repo -> commit -> path -> content; `branches`: (repo, name) -> commit."""

    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    licence: object = "apache-2.0"
    requests: list[Request] = field(default_factory=list)
    # path -> how many bytes of its content to send before the connection breaks; used up one at a time
    breaks: dict[str, list[int]] = field(default_factory=dict)
    # path -> other bytes that come in place of its content; used up one at a time
    swapped: dict[str, list[bytes]] = field(default_factory=dict)
    # path of a URL -> statuses to answer its next requests with (0: as it should; FOR_EVER at the end)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    # path -> headers of the hub's answer that lie
    lies: dict[str, dict[str, str]] = field(default_factory=dict)
    extra_siblings: list[dict[str, object]] = field(default_factory=list)
    ignores_range: bool = False
    # how far from the range asked for the first continuation begins
    range_shift: int = 0
    # (repo, branch, commit): where branches move as soon as a listing was given
    after_listing: list[tuple[str, str, str]] = field(default_factory=list)
    endpoint: str = ""
    cdn: str = ""

    def add(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Commits `files` as the whole content of `branch`; returns the commit."""
        text = "".join(f"{path} {oid(path, data)}\n" for path, data in sorted(files.items()))
        commit = hashlib.sha1(f"{repo}\n{text}".encode()).hexdigest()
        self.repos.setdefault(repo, {})[commit] = files
        self.branches[(repo, branch)] = commit
        return commit

    def downloads(self) -> list[str]:
        """The paths in the repository whose content was asked for, in order."""
        return [r.path.split("/", 5)[5] for r in self.requests if r.method == "GET" and "/resolve/" in r.path]


def oid(path: str, data: bytes) -> str:
    """What the hub names the content by."""
    if path.endswith(LARGE_SUFFIXES):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def folder_files(folder: Path) -> dict[str, bytes]:
    """The files below `folder` by path, as `add` takes them."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def serving(hub: FakeHub) -> Iterator[None]:
    """Serves `hub` from a thread; its `endpoint` is set meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        runners = asyncio.run_coroutine_threadsafe(_start(hub), loop).result(10)
        try:
            yield
        finally:
            for runner in runners:
                asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(hub: FakeHub) -> list[web.AppRunner]:
    runners, ports = [], []
    for add_routes in (_hub_routes, _cdn_routes):
        app = web.Application()
        add_routes(hub, app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        ports.append(runner.addresses[0][1])
    hub.endpoint, hub.cdn = (f"http://127.0.0.1:{port}" for port in ports)
    return runners


def _note(hub: FakeHub, server: str, request: web.Request) -> web.Response | None:
    """Logs the request; gives the answer of a fault that was ordered for its path."""
    hub.requests.append(
        Request(
            server,
            request.method,
            request.path,
            request.headers.get("Range", ""),
            request.headers.get("Authorization", ""),
        )
    )
    statuses = hub.statuses.get(request.path, [])
    status = 0 if not statuses else statuses[0] if statuses[-1] == FOR_EVER else statuses.pop(0)
    if status == 0:
        return None
    said = f"you sent {request.headers.get('Authorization', 'nothing')}"
    return web.json_response({"error": said}, status=status, headers={"X-Error-Message": said})


def _hub_routes(hub: FakeHub, app: web.Application) -> None:
    async def info(request: web.Request) -> web.StreamResponse:
        fault = _note(hub, "hub", request)
        if fault is not None:
            return fault
        repo = f"{request.match_info['owner']}/{request.match_info['name']}"
        if repo not in hub.repos:
            return _missing("RepoNotFound", 401)
        revision = request.match_info["revision"]
        commit = hub.branches.get((repo, revision), revision)
        if commit not in hub.repos[repo]:
            return _missing("RevisionNotFound", 404)
        siblings = [_sibling(path, data) for path, data in hub.repos[repo][commit].items()]
        value: dict[str, object] = {
            "id": repo,
            "sha": commit,
            "siblings": [*siblings, *hub.extra_siblings],
            "tags": [],
        }
        if hub.licence is not None:
            value["cardData"] = {"license": hub.licence}
        for name, branch, moved_to in hub.after_listing:
            hub.branches[(name, branch)] = moved_to
        return web.json_response(value)

    async def resolve(request: web.Request) -> web.StreamResponse:
        fault = _note(hub, "hub", request)
        if fault is not None:
            return fault
        repo = f"{request.match_info['owner']}/{request.match_info['name']}"
        commit, path = request.match_info["commit"], request.match_info["path"]
        data = hub.repos[repo].get(commit, {}).get(path)
        if data is None:
            return _missing("EntryNotFound", 404)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{oid(path, data)}"'}
        if path.endswith(LARGE_SUFFIXES):
            headers |= {
                "X-Linked-Etag": headers.pop("ETag"),
                "X-Linked-Size": str(len(data)),
                "Location": f"{hub.cdn}/{repo}/{commit}/{path}?signature=secret-of-the-address",
            }
            return web.Response(status=302, headers=headers | hub.lies.get(path, {}))
        return await _send(hub, request, path, data, headers | hub.lies.get(path, {}))

    async def anything_else(request: web.Request) -> web.StreamResponse:
        return _note(hub, "hub", request) or _missing("", 404)

    pattern = "{owner:[^/]+}/{name:[^/]+}"
    app.router.add_get(f"/api/models/{pattern}/revision/{{revision}}", info)
    app.router.add_get(f"/{pattern}/resolve/{{commit:[^/]+}}/{{path:.+}}", resolve)
    app.router.add_route("*", "/{all:.*}", anything_else)


def _cdn_routes(hub: FakeHub, app: web.Application) -> None:
    async def content(request: web.Request) -> web.StreamResponse:
        fault = _note(hub, "cdn", request)
        if fault is not None:
            return fault
        owner, name, commit, path = request.match_info["all"].split("/", 3)
        return await _send(hub, request, path, hub.repos[f"{owner}/{name}"][commit][path], {})

    app.router.add_get("/{all:.+}", content)


async def _send(
    hub: FakeHub, request: web.Request, path: str, data: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    size = len(data)
    if request.method == "GET" and hub.swapped.get(path):
        data = hub.swapped[path].pop(0)
    start, status = 0, 200
    wanted = request.headers.get("Range", "")
    if wanted and not hub.ignores_range:
        start, status = int(wanted.removeprefix("bytes=").removesuffix("-")) + hub.range_shift, 206
        hub.range_shift = 0
        headers = headers | {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(data) - start
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    if hub.breaks.get(path):
        await response.write(data[start : start + hub.breaks[path].pop(0)])
        await asyncio.sleep(0.05)  # let the bytes leave before the connection is cut
        assert request.transport is not None
        request.transport.close()
        return response
    await response.write(data[start:])
    await response.write_eof()
    return response


def _sibling(path: str, data: bytes) -> dict[str, object]:
    sibling: dict[str, object] = {
        "rfilename": path,
        "size": len(data),
        "blobId": hashlib.sha1(path.encode()).hexdigest(),
    }
    if path.endswith(LARGE_SUFFIXES):
        sibling["lfs"] = {"size": len(data), "sha256": oid(path, data), "pointerSize": 134}
    else:
        sibling["blobId"] = oid(path, data)
    return sibling


def _missing(code: str, status: int) -> web.Response:
    return web.Response(status=status, headers={"X-Error-Code": code}, text=json.dumps({"error": code}))
