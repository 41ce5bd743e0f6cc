"""The headers of every answer, errors and malformed requests included.

They make the page cross-origin isolated, confine it to its own origin, and keep every other site out. One
request class applies them, because that is the one place through which aiohttp sends normal answers, its
own error pages and the 400 for a request it could not parse (which passes no application and no signal).
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types app"
)

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "bluetooth",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "hid",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "serial",
        "usb",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": PERMISSIONS_POLICY,
}

CACHE_REVALIDATE = "no-cache"
CACHE_IMMUTABLE = "public, max-age=31536000, immutable"


class StrictRequest(web.Request):
    """A request whose answer carries SECURITY_HEADERS, a Cache-Control, and no name of our software."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.update(SECURITY_HEADERS)
        response.headers.setdefault("Cache-Control", CACHE_REVALIDATE)
        response.headers.popall("Server", None)


def make_strict(runner: web.AppRunner) -> None:
    """Let the server of `runner` (already set up) build every request as a StrictRequest."""
    assert runner.server is not None
    runner.server.request_factory = partial(runner.app._make_request, _cls=StrictRequest)


def plain_answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    """An answer of one plain sentence, for people who look at it in a terminal or a tab."""
    return web.Response(status=status, text=sentence + "\n", headers=headers)
