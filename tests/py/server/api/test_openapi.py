"""The OpenAPI document is true: every path and method of it is asked, every answer fits its schema."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from server.api.faces import Api, Reply, on_an_api

from kleinbild.errors import KleinbildError
from kleinbild.server.api.errors import ApiError
from kleinbild.server.api.fields import Field, object_schema, read_object

VALID: dict[str, Any] = {"prompt": "x"}


def fits(document: dict[str, Any], operation: dict[str, Any], answer: Reply) -> None:
    """Fail unless `answer` is one that `operation` announces."""
    assert str(answer.status) in operation["responses"], (operation["operationId"], answer)
    content = operation["responses"][str(answer.status)]["content"]
    (media_type,) = content
    assert answer.headers["content-type"].split(";")[0] == media_type
    if media_type == "application/json":
        schema = content[media_type]["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json)


def paths(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_answers_as_the_document_says(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        document = (await api.ask("GET", "/openapi.json")).json
        assert len({operation["operationId"] for _, _, operation in paths(document)}) == len(paths(document))
        for path, method, operation in paths(document):
            job = (await api.ask("POST", "/jobs", VALID)).json["id"]
            while not (await api.ask("GET", f"/jobs/{job}")).json["finished"]:
                pass
            known = path.replace("{id}", "fake" if path.startswith("/v1/") else job)
            unknown = path.replace("{id}", "nothing")
            body = VALID if "requestBody" in operation else None
            for place in {known, unknown}:
                answer = await api.ask(method, place, body)
                fits(document, operation, answer)
                assert (answer.status < 300) == (place == known), (place, answer)
            if body is not None:
                wrongs: list[Any] = [{"prompt": 1, "sd_model_checkpoint": 1}, []]
                for wrong in wrongs:
                    answer = await api.ask(method, known, wrong)
                    assert answer.status in (400, 422)
                    fits(document, operation, answer)
                data = io.BytesIO(b"{" + b" " * (1 << 20))
                types = {"Content-Type": "application/json"}
                fits(document, operation, await api.ask(method, known, data=data, headers=types))
                fits(document, operation, await api.ask(method, known, data=b"x"))
            foreign = await api.ask(method, known, body, headers={"Origin": "https://evil.example"})
            assert foreign.status == 403
            fits(document, operation, foreign)

    on_an_api(fake_site, test)


def test_it_says_what_is_refused_under_load(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        document = (await api.ask("GET", "/openapi.json")).json
        await api.ask("POST", "/jobs", {"prompt": "hold"})
        await api.begun()
        await api.ask("POST", "/jobs", VALID)
        for status in (429, 503):
            for path, method, operation in paths(document):
                if method == "POST" and "429" in operation["responses"]:
                    answer = await api.ask(method, path, VALID)
                    assert answer.status == status
                    assert int(answer.headers["retry-after"]) >= 1
                    fits(document, operation, answer)
            await api.queue.close(0)

    on_an_api(fake_site, test, max_waiting=1)


def test_the_document_names_the_key_only_where_there_is_one(fake_site: Path) -> None:
    async def open_(api: Api) -> None:
        assert "security" not in (await api.ask("GET", "/openapi.json")).json

    async def closed(api: Api) -> None:
        header = {"Authorization": "Bearer " + "k" * 20}
        document = (await api.ask("GET", "/openapi.json", headers=header)).json
        assert document["security"] == [{"key": []}, {"password": []}]
        assert "k" * 20 not in json.dumps(document)
        for path, method, operation in paths(document):
            if path != "/healthz":
                fits(document, operation, await api.ask(method, re.sub("{id}", "x", path)))

    on_an_api(fake_site, open_)
    on_an_api(fake_site, closed, key="k" * 20)


FIELDS = (
    Field("a", "integer", "", 3, minimum=0, maximum=64, multiple_of=16),
    Field("b", "string", "", required=True, max_length=3, pattern="x*"),
    Field("c", "string", "", "u", nullable=True, choices=("u", "v")),
    Field("d", "number", "", nullable=True),
    Field("e", "boolean", "", True),
    Field("f", "array", ""),
    Field("g", "object", ""),
)
VALUES: list[Any] = [
    None,
    True,
    0,
    16,
    17,
    80,
    -16,
    16.0,
    16.5,
    1e300,
    "",
    "x",
    "xxxx",
    "y",
    "u",
    "w",
    [],
    {},
]


@pytest.mark.parametrize("strict", [True, False])
def test_reading_and_schema_agree(strict: bool) -> None:
    """Every value in every field: what the reader takes is what the schema takes."""
    validator = jsonschema.Draft202012Validator(object_schema(FIELDS, strict=strict))
    records: list[Any] = [*VALUES, {"b": "x", "z": 1}]
    records += [{"b": "x", field.name: value} for field in FIELDS for value in VALUES]
    taken = 0
    for record in records:
        try:
            read_object(record, FIELDS, strict=strict, status=400)
        except ApiError:
            assert not validator.is_valid(record), record
        else:
            assert validator.is_valid(record), record
            taken += 1
    assert 10 < taken < len(records) - 10


def test_defaults_and_whole_floats() -> None:
    values = read_object({"b": "", "a": 32.0, "c": None}, FIELDS, strict=True, status=400)
    assert values == {"a": 32, "b": "", "c": "u", "d": None, "e": True, "f": None, "g": None}
    assert type(values["a"]) is int
    assert not issubclass(ApiError, KleinbildError)  # its words are for strangers, the other's for the user
