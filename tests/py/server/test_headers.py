"""Every answer carries the strict headers, whatever the request was."""

from __future__ import annotations

import pytest
from server.raw_http import Answer, Server

STRICT = {
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types app",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def assert_strict(answer: Answer) -> None:
    assert {key: answer.headers.get(key) for key in STRICT} == STRICT
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "cache-control" in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "headers", "host", "status"),
    [
        ("GET", "/", {}, None, 200),
        ("HEAD", "/", {}, None, 200),
        ("GET", "/v/b1/src_js/app/main.js", {}, None, 200),
        ("GET", "/healthz", {}, None, 200),
        ("GET", "/", {"Range": "bytes=0-3"}, None, 206),
        ("GET", "/", {"Range": "bytes=999999-"}, None, 416),
        ("GET", "/", {"If-None-Match": "*"}, None, 304),
        ("GET", "/missing", {}, None, 404),
        ("POST", "/", {"Content-Length": "0"}, None, 405),
        ("POST", "/healthz", {"Content-Length": "0"}, None, 405),
        ("GET", "/", {"Expect": "miracles"}, None, 417),
        ("GET", "/", {}, "localhost", 308),
        ("GET", "/", {}, "example.com", 421),
        ("GET", "*", {}, None, 400),
    ],
)
def test_answer_is_strict(
    server: Server,
    method: str,
    path: str,
    headers: dict[str, str],
    *,
    host: str | None,
    status: int,
) -> None:
    answer = server.get(path, headers, method, host)
    assert answer.status == status
    assert_strict(answer)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_answer_to_a_malformed_request_is_strict(server: Server, request_bytes: bytes) -> None:
    answer = server.send(request_bytes)
    assert answer.status == 400
    assert_strict(answer)
    assert answer.headers["content-type"].startswith("text/plain")
