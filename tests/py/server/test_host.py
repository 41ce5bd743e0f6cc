"""One canonical origin: other loopback names are sent there, foreign names get nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from server.raw_http import Server, running_server

from kleinbild.server.host import canonical_url, is_loopback


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST", "[::1]", "127.0.0.1:1", "localhost:99", "127.0.0.1"]
)
def test_loopback_names_are_redirected(server: Server, name: str) -> None:
    answer = server.get("/models/fake.json?a=%2F&b=1", host=name)
    assert answer.status == 308
    assert answer.headers["location"] == f"http://{server.authority}/models/fake.json?a=%2F&b=1"


def test_the_redirect_stays_on_the_canonical_host(server: Server) -> None:
    for path in ("//example.com/", "http://example.com/", "/\\example.com"):
        location = server.get(path, host="localhost").headers["location"]
        assert location.startswith(f"http://{server.authority}/")


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "example.com:80",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "0.0.0.0",
        "10.0.0.1",
        "a b",
        "[::1",
        "user@127.0.0.1",
        "127.0.0.1:99999",
    ],
)
def test_other_names_are_misdirected(server: Server, name: str) -> None:
    answer = server.get("/", host=name)
    assert answer.status == 421
    assert b"<script" not in answer.body


def test_no_host_header_is_refused(server: Server) -> None:
    assert server.get("/", host="").status == 400
    assert server.send(b"GET / HTTP/1.0\r\n\r\n").status == 421


def test_user_information_with_the_canonical_host_is_refused(server: Server) -> None:
    assert server.get("/", host=f"user@{server.authority}").status == 421


def test_two_host_headers_are_refused(server: Server) -> None:
    head = (
        f"GET / HTTP/1.1\r\nHost: {server.authority}\r\nHost: {server.authority}\r\nConnection: close\r\n\r\n"
    )
    assert server.send(head.encode()).status in (400, 421)


def test_canonical_localhost(fake_site: Path) -> None:
    with running_server(fake_site, "--host", "localhost") as server:
        assert server.host == "localhost"
        assert server.get("/").status == 200
        assert (
            server.get("/", host=f"127.0.0.1:{server.port}").headers["location"]
            == f"http://{server.authority}/"
        )


def test_everywhere_is_canonical_on_loopback(fake_site: Path) -> None:
    with running_server(fake_site, "--host", "0.0.0.0") as server:
        assert server.host == "127.0.0.1"
        assert server.get("/").status == 200


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:81"), ("::1", "http://[::1]:81"), ("::", "http://127.0.0.1:81")],
)
def test_canonical_url(host: str, url: str) -> None:
    assert canonical_url(host, 81) == url


def test_default_port_is_left_out() -> None:
    assert canonical_url("kleinbild.localhost", 80) == "http://kleinbild.localhost"


def test_is_loopback() -> None:
    assert [is_loopback(h) for h in ("localhost", "x.localhost", "127.3.2.1", "::1")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "192.168.1.2", "example.com", "localhost.com")] == [False] * 4
