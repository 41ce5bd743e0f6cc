"""Refusals of the API, and how each face words them: its clients read their own form and no other."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kleinbild.server.queue.ticket import Failure

STATUS = {
    "bad-input": 400,
    "too-large": 400,
    "cancelled": 410,
    "queue-full": 429,
    "stopping": 503,
    "engine-down": 503,
    "no-page": 503,
}
STATUS_OTHER = 500
RETRY_SECONDS = 5  # where nothing better is known


class ApiError(Exception):
    """`status`, `code`, a sentence fit for strangers; `field` is what was wrong in the request, or None."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = headers or {}


def from_failure(failure: Failure, retry_after: int = RETRY_SECONDS) -> ApiError:
    """`failure` of a ticket, or of a place in the queue, as a refusal."""
    status = STATUS.get(failure.code, STATUS_OTHER)
    headers = {"Retry-After": str(retry_after)} if status in (429, 503) else None
    return ApiError(status, failure.code, failure.message, headers=headers)


def native_body(error: ApiError) -> dict[str, Any]:
    """{"error": {code, message, field}}."""
    return {"error": {"code": error.code, "message": error.message, "field": error.field}}


def openai_body(error: ApiError) -> dict[str, Any]:
    """As api.openai.com words it."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    fallback = "invalid_request_error" if error.status < 500 else "server_error"
    kind = kinds.get(error.status, fallback)
    return {"error": {"message": error.message, "type": kind, "param": error.field, "code": error.code}}


def a1111_body(error: ApiError) -> dict[str, Any]:
    """As the web UI words it: FastAPI's list for a wrong field, its own record for the rest."""
    if error.field is not None:
        return {"detail": [{"loc": ["body", error.field], "msg": error.message, "type": "value_error"}]}
    return {"error": error.code, "detail": error.message, "body": "", "errors": error.message}


def error_answer(path: str, error: ApiError) -> web.Response:
    """`error` in the form of the face that `path` belongs to."""
    if path.startswith("/v1/"):
        body = openai_body(error)
    elif path.startswith("/sdapi/"):
        body = a1111_body(error)
    else:
        body = native_body(error)
    return web.json_response(body, status=error.status, headers=error.headers)
