"""The OpenAPI document, written from the same operations and tables that serve and check the requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kleinbild import __version__
from kleinbild.server.api import schemas
from kleinbild.server.api.operation import Operation

DESCRIPTION = (
    "Pictures from FLUX.2 Klein, made one after another by a page in a Chromium. Three faces on one queue: a "
    "native one (/jobs), OpenAI's (/v1) and A1111's (/sdapi)."
)
REFUSALS = {
    400: "The request is wrong.",
    401: "The key is missing or wrong.",
    403: "A page of another site asks.",
    404: "Not known here.",
    409: "Not yet.",
    410: "Cancelled.",
    413: "The body is too large.",
    415: "The body is no JSON by its type.",
    422: "A field is wrong.",
    429: "The queue is full, or too many jobs are being watched: Retry-After says when to ask again.",
    500: "The engine or the server failed.",
    503: "There is no engine now, or the server is stopping: Retry-After says when to ask again.",
}


def document(operations: Sequence[Operation], *, with_key: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of `operations`; `with_key`: the server wants one."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        told = _operation(operation)
        if with_key and not operation.needs_key:
            told["security"] = []
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Kleinbild", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {
                "NativeError": schemas.NATIVE_ERROR,
                "OpenAiError": schemas.OPENAI_ERROR,
                "A1111Error": schemas.A1111_ERROR,
            }
        },
    }
    if with_key:
        found["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer"},
            "password": {"type": "http", "scheme": "basic"},
        }
        found["security"] = [{"key": []}, {"password": []}]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "responses": {
            **{str(status): _answer(answer) for status, answer in operation.answers.items()},
            **{str(status): _refusal(operation.path, status) for status in operation.all_refusals},
        },
    }
    names = re.findall(r"\{([a-z]+)\}", operation.path)
    if names:
        text = {"type": "string"}
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": text} for name in names
        ]
    body = operation.body_schema()
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _answer(answer: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    media_type, schema = answer
    content = (
        {"application/json": {"schema": schema}} if media_type == "application/json" else {media_type: {}}
    )
    return {"description": "As asked.", "content": content}


def _refusal(path: str, status: int) -> dict[str, Any]:
    names = {"v1": "OpenAiError", "sdapi": "A1111Error"}
    schema = {"$ref": f"#/components/schemas/{names.get(path.split('/')[1], 'NativeError')}"}
    headers = {"Retry-After": {"schema": {"type": "integer"}}} if status in (429, 503) else {}
    found: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {"application/json": {"schema": schema}},
    }
    return found | ({"headers": headers} if headers else {})
