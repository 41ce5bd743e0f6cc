"""JSON Schemas of answers, in few words; requests have tables (fields.py)."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
BASE64: Schema = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}


def record(**members: Schema) -> Schema:
    """An object that has exactly `members`."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def nullable(schema: Schema) -> Schema:
    """`schema` or null."""
    return {"anyOf": [schema, NULL]}


def array(schema: Schema) -> Schema:
    """A list of `schema`."""
    return {"type": "array", "items": schema}


def numbers_by_name() -> Schema:
    """An object whose members are all numbers."""
    return {"type": "object", "additionalProperties": NUMBER}


NATIVE_ERROR = record(error=record(code=STRING, message=STRING, field=nullable(STRING)))
OPENAI_ERROR = record(error=record(message=STRING, type=STRING, param=nullable(STRING), code=STRING))
A1111_ERROR: Schema = {
    "oneOf": [
        record(detail=array(record(loc=array(STRING), msg=STRING, type=STRING))),
        record(error=STRING, detail=STRING, body=STRING, errors=STRING),
    ]
}
