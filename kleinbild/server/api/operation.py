"""One operation of the API: the record from which it is routed, checked and documented."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from kleinbild.server.api.errors import ApiError, error_answer
from kleinbild.server.api.fields import Field, object_schema, read_json, read_object

Values = dict[str, Any]
Handler = Callable[[web.Request, Values], Awaitable[web.StreamResponse]]
Schema = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """`method` and `path` (aiohttp's form; its parameters are ids) served by `handler`.

    `fields`: of the JSON body, None without one; `strict`: no others are taken. `answers`: status -> (media
    type, schema), for those that are no refusals; `refusals`: the statuses of those that are. `needs_key`:
    where the server has one; the guard (OPEN_PATHS) decides.
    """

    method: str
    path: str
    name: str
    about: str
    handler: Handler
    answers: dict[int, tuple[str, Schema]]
    fields: Sequence[Field] | None = None
    strict: bool = True
    bad_input: int = 400
    refusals: tuple[int, ...] = field(default=())
    needs_key: bool = True

    @property
    def all_refusals(self) -> tuple[int, ...]:
        """Every status of a refusal, those of the guard and of a body included."""
        common = {400, 403, 500, *self.refusals} | ({401} if self.needs_key else set())
        if self.fields is not None:
            common |= {self.bad_input, 413, 415}
        return tuple(sorted(common))

    def body_schema(self) -> Schema | None:
        """JSON Schema of the body."""
        return None if self.fields is None else object_schema(self.fields, strict=self.strict)

    def route(self) -> web.RouteDef:
        """The route that checks the body and calls the handler."""

        async def handle(request: web.Request) -> web.StreamResponse:
            values: Values = {}
            if self.fields is not None:
                record = await read_json(request)
                values = read_object(record, self.fields, strict=self.strict, status=self.bad_input)
            return await self.handler(request, values)

        return web.route(self.method, self.path, handle)


def rest_of(prefix: str, operations: Sequence[Operation]) -> web.RouteDef:
    """A route for what no operation below `prefix` serves: 405 where another method would do, else 404."""
    patterns = [(op.method, re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", op.path))) for op in operations]

    async def handle(request: web.Request) -> web.StreamResponse:
        methods = sorted({method for method, pattern in patterns if pattern.fullmatch(request.path)})
        if methods:
            message = f"This path takes {' and '.join(methods)}."
            error = ApiError(405, "bad-method", message, headers={"Allow": ", ".join(methods)})
        else:
            error = ApiError(404, "not-found", "There is nothing here.")
        return error_answer(request.path, error)

    return web.route("*", prefix + "{rest:.*}", handle)
