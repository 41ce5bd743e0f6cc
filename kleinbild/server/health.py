"""/healthz: whether the site can be served right now, for a kiosk's watchdog or a person with curl."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from kleinbild.errors import KleinbildError
from kleinbild.server.headers import plain_answer
from kleinbild.server.site import open_site


def health(root: Path) -> Handler:
    """Handler: 200 with the build and the model ids, or 503 with the reason, read anew each time."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return plain_answer(405, "This site only answers GET and HEAD.", {"Allow": "GET, HEAD"})
        try:
            site = await asyncio.to_thread(open_site, root)
        except KleinbildError as error:
            return web.json_response({"status": "broken", "error": str(error)}, status=503)
        return web.json_response({"status": "ok", "build": site.build, "models": list(site.models)})

    return handler
