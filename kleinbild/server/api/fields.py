"""What a request's body may say: one table, that bodies are checked by and OpenAPI schemas written from.

That both come from the same record is what keeps the document true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kleinbild.server.api.errors import ApiError


@dataclass(frozen=True)
class Field:
    """One member of a JSON object. kind is JSON's own: string, integer, number, boolean, array, object.

    minimum and maximum (inclusive) are of integers; max_length (code points) and pattern (of the whole) of
    strings. `default` stands for an absent member, and for null where null is allowed.
    """

    name: str
    kind: str
    about: str
    default: Any = None
    required: bool = False
    nullable: bool = False
    minimum: int | None = None
    maximum: int | None = None
    multiple_of: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    choices: tuple[Any, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The field as JSON Schema."""
        found: dict[str, Any] = {"type": [self.kind, "null"] if self.nullable else self.kind}
        found["description"] = self.about
        limits = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "multipleOf": self.multiple_of,
            "maxLength": self.max_length,
            "pattern": f"^({self.pattern})$" if self.pattern else None,
            "enum": [*self.choices, *([None] if self.nullable else [])] if self.choices else None,
            "default": self.default,
        }
        return found | {key: value for key, value in limits.items() if value is not None}

    def read(self, value: Any) -> Any:
        """`value` checked, whole floats as integers. Raises ValueError saying what it must be."""
        if value is None and self.nullable:
            return self.default
        value = self._typed(value)
        if self.choices and value not in self.choices:
            raise ValueError(f"must be {' or '.join(json.dumps(choice) for choice in self.choices)}")
        if isinstance(value, str):
            self._check_text(value)
        elif self.kind == "integer":
            self._check_range(value)
        return value

    def _typed(self, value: Any) -> Any:
        whole = isinstance(value, float) and value.is_integer()
        fits = {
            "string": isinstance(value, str),
            "integer": type(value) is int or whole,
            "number": type(value) in (int, float),
            "boolean": type(value) is bool,
            "array": isinstance(value, list),
            "object": isinstance(value, dict),
        }[self.kind]
        if not fits:
            raise ValueError(f"must be of type {self.kind}{' or null' if self.nullable else ''}")
        return int(value) if self.kind == "integer" else value

    def _check_text(self, value: str) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            raise ValueError(f"has {len(value)} characters; at most {self.max_length} are taken")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ValueError(f"must match {self.pattern}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a surrogate pair, which is no text") from None

    def _check_range(self, value: int) -> None:
        low, high, step = self.minimum, self.maximum, self.multiple_of
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"must be {low} to {high}")
        if step is not None and value % step:
            raise ValueError(f"must be a multiple of {step}")


def object_schema(fields: Sequence[Field], *, strict: bool) -> dict[str, Any]:
    """JSON Schema of an object of `fields`; `strict`: and of no others."""
    return {
        "type": "object",
        "properties": {field.name: field.schema() for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": not strict,
    }


def read_object(record: Any, fields: Sequence[Field], *, strict: bool, status: int) -> dict[str, Any]:
    """Every field's value in `record`, or its default. Raises ApiError with `status`, naming the field."""
    if not isinstance(record, dict):
        raise ApiError(status, "bad-input", "The body must be a JSON object.")
    values: dict[str, Any] = {}
    for field in fields:
        if field.name in record:
            try:
                values[field.name] = field.read(record[field.name])
            except ValueError as error:
                raise _wrong(status, field.name, str(error)) from None
        elif field.required:
            raise _wrong(status, field.name, "is missing")
        else:
            values[field.name] = field.default
    if strict:
        for name in record.keys() - values.keys():
            raise _wrong(status, name[:40], "is not known here")
    return values


def _wrong(status: int, name: str, problem: str) -> ApiError:
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return ApiError(status, "bad-input", f"{shown} {problem}.", field=shown)


async def read_json(request: web.Request) -> Any:
    """The body of `request` as JSON. Raises ApiError: 413, 415, 400."""
    if request.content_type != "application/json":
        raise ApiError(415, "bad-input", "Send JSON, with Content-Type: application/json.")
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(request) from None
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, "bad-input", "The body is no valid JSON.") from None


def too_large(request: web.Request) -> ApiError:
    """The refusal of a body beyond the limit."""
    return ApiError(413, "bad-input", f"The body is too large: at most {request.client_max_size} bytes.")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON
