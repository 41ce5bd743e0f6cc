"""The three faces, metrics, document and health as one application, in front of the site."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from kleinbild.server.api import schemas as s
from kleinbild.server.api.a1111 import A1111
from kleinbild.server.api.guard import PREFIXES, allow_origins, api_guard, is_api
from kleinbild.server.api.limits import Limits
from kleinbild.server.api.metrics import Metrics
from kleinbild.server.api.native import Native
from kleinbild.server.api.openai import OpenAi
from kleinbild.server.api.openapi import document
from kleinbild.server.api.operation import Operation, Values, rest_of
from kleinbild.server.api.pictures import Studio
from kleinbild.server.app import create_app
from kleinbild.server.queue.queue import Queue
from kleinbild.server.site import Site

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class ApiOptions:
    """canonical: our origin; key: that all must bring, None for none; cors: origins whose pages may ask."""

    canonical: str
    key: str | None = None
    cors: Collection[str] = ()
    limits: Limits = field(default_factory=Limits)


def create_api(
    site: Site, queue: Queue, metrics: Metrics, options: ApiOptions, more: Sequence[web.RouteDef] = ()
) -> web.Application:
    """The application that serves `queue` and `site`, and `more` beside them."""
    studio = Studio(queue, site.model_id, site.model, options.limits)
    operations = [
        *Native(studio).operations(),
        *OpenAi(studio, options.canonical).operations(),
        *A1111(studio).operations(),
        *_Own(site, queue, metrics).operations(),
    ]
    written = document(operations, with_key=options.key is not None)

    async def tell(request: web.Request) -> web.StreamResponse:
        return web.json_response(written)

    metrics.watch(queue)
    routes = [*more, *(operation.route() for operation in operations)]
    routes.append(web.get("/openapi.json", tell))
    routes += [rest_of(prefix, operations) for prefix in (*PREFIXES, "/jobs")]
    guard = api_guard(options.canonical, options.key, options.cors, metrics.answered)
    app = create_app(site.root, options.canonical, routes, middlewares=[guard], direct=is_api)
    app.on_response_prepare.append(allow_origins(options.cors))  # type: ignore[arg-type]
    return app


class _Own:
    """What belongs to no face."""

    def __init__(self, site: Site, queue: Queue, metrics: Metrics) -> None:
        self._site = site
        self._queue = queue
        self._metrics = metrics

    def operations(self) -> list[Operation]:
        states = {"enum": ["ok", "starting", "no-page"]}
        health = s.record(status=states, build=s.STRING, models=s.array(s.STRING), api=s.BOOLEAN)
        return [
            Operation(
                "GET",
                "/healthz",
                "health",
                "Whether pictures can be asked for, and would be begun at once; needs no key.",
                self._health,
                {200: ("application/json", health)},
                needs_key=False,
            ),
            Operation(
                "GET",
                "/metrics",
                "metrics",
                "Prometheus' text form.",
                self._tell_metrics,
                {200: ("text/plain", s.STRING)},
            ),
        ]

    async def _health(self, request: web.Request, values: Values) -> web.StreamResponse:
        absent = "no-page" if self._queue.needs_page else "starting"
        # No word of the folder that is served: another machine may ask.
        return web.json_response(
            {
                "status": absent if self._queue.engine is None else "ok",
                "build": self._site.build,
                "models": [self._site.model_id],
                "api": True,
            }
        )

    async def _tell_metrics(self, request: web.Request, values: Values) -> web.StreamResponse:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": METRICS_TYPE})
