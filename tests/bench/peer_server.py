"""The peer benchmark's server: page, scripts, ONNX Runtime's files, graphs written on demand, reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from peer_folder import GraphFolder

ROOT = Path(__file__).resolve().parents[2]
PAGE = "tests/bench/page/index.html"
# All that the page needs of onnxruntime-web's `dist` folder.
ORT_FILES = (
    "ort.jspi.bundle.min.mjs",
    "ort-wasm-simd-threaded.jspi.mjs",
    "ort-wasm-simd-threaded.jspi.wasm",
)
MAX_REPORT_BYTES = 1 << 20

_SOURCES = ("src_js", "tests/bench/page")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".wgsl": "text/plain; charset=utf-8",
}
# Shared memory between threads, which ONNX Runtime's build asks for, needs a cross-origin isolated page.
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-store",
}

Report = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PeerServer:
    """Routes of one run: the page asks for `plan` and hands each report to `on_report`."""

    def __init__(
        self, plan: Callable[[], Report], graphs: GraphFolder, ort: Path, on_report: Callable[[Report], None]
    ) -> None:
        self._plan = plan
        self._graphs = graphs
        self._ort = ort
        self._on_report = on_report
        self._writing = asyncio.Lock()

    def app(self) -> web.Application:
        """The application, to be served at any origin that is a secure context."""
        app = web.Application(client_max_size=MAX_REPORT_BYTES)
        app.add_routes(
            [
                web.get("/plan", self._send_plan),
                web.post("/report", self._take_report),
                web.get("/graphs/{name}", self._send_graph),
                web.get("/files/{file}", self._files(self._graphs.folder)),
                web.get("/ort/{file}", self._files(self._ort)),
                *(web.get(f"/{source}/{{file:.+}}", self._files(ROOT / source)) for source in _SOURCES),
            ]
        )
        return app

    async def _send_plan(self, request: web.Request) -> web.Response:
        return web.json_response(self._plan(), headers=_HEADERS)

    async def _take_report(self, request: web.Request) -> web.Response:
        self._on_report(json.loads(await request.read()))
        return web.Response(status=204, headers=_HEADERS)

    async def _send_graph(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._graphs.names:
            return web.Response(status=404, text=f"no graph is called {name}", headers=_HEADERS)
        async with self._writing:
            try:
                graph = await asyncio.to_thread(self._graphs.graph, name)
            except Exception as error:  # whatever it is, it costs one graph's rows and is told in them
                return web.Response(status=500, text=f"{type(error).__name__}: {error}", headers=_HEADERS)
        return web.json_response({"file": graph.file, "shards": graph.shards}, headers=_HEADERS)

    def _files(self, folder: Path) -> Handler:
        root = folder.resolve()

        async def handler(request: web.Request) -> web.StreamResponse:
            path = (root / request.match_info["file"]).resolve()
            if not path.is_relative_to(root) or not path.is_file():
                return web.Response(status=404, text=f"no file {request.path}", headers=_HEADERS)
            content_type = _TYPES.get(path.suffix, "application/octet-stream")
            return web.FileResponse(path, headers={**_HEADERS, "Content-Type": content_type})

        return handler
