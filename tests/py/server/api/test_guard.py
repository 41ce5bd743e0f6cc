"""Who may ask, from outside: keys, origins, hosts, bodies, methods; and that no answer names this machine."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from server.api.faces import KEY, Api, on_an_api

from kleinbild.errors import KleinbildError
from kleinbild.server.api.guard import check_key, check_origin, is_api, key_fits, read_key

FRIEND = "https://friend.example"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "path", ["/jobs", "/v1/models", "/sdapi/v1/samplers", "/metrics", "/openapi.json", "/"]
)
def test_nothing_without_the_key(fake_site: Path, path: str) -> None:
    async def test(api: Api) -> None:
        wrong = (
            None,
            "",
            "Bearer",
            f"Bearer {KEY}x",
            f"Digest {KEY}",
            basic(KEY, "x"),
            "Basic ###",
            "Bearer ä",
        )
        for header in wrong:
            answer = await api.ask(
                "GET", path, headers={"Authorization": header} if header is not None else {}
            )
            assert answer.status == 401, header
            assert "Basic" in answer.headers["www-authenticate"]
            assert KEY.encode() not in answer.body
        for header in (f"Bearer {KEY}", f"bearer {KEY}", basic("anybody", KEY)):
            assert (await api.ask("GET", path, headers={"Authorization": header})).status in (200, 405)
        assert (await api.ask("GET", "/healthz")).status == 200

    on_an_api(fake_site, test, key=KEY)


def test_keys(tmp_path: Path) -> None:
    assert key_fits(basic("", KEY), KEY)
    assert not key_fits(None, KEY)
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert read_key(tmp_path / "key") == KEY
    for bad in ("short", "x" * 2000, "with a space in it", "ümlauts-ümlauts-ü"):
        with pytest.raises(KleinbildError, match="openssl rand"):
            check_key(bad, "$KEY")
    with pytest.raises(KleinbildError, match="cannot be read"):
        read_key(tmp_path / "nothing")


def test_pages_of_other_sites_may_not_ask(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"{api.url}0"):
            headers = {"Origin": origin}
            answer = await api.ask("POST", "/jobs", {"prompt": "x"}, headers=headers)
            assert (answer.status, answer.json["error"]["code"]) == (403, "foreign-origin")
            assert (await api.ask("OPTIONS", "/jobs", headers=headers)).status == 403
            assert (await api.ask("POST", "/sdapi/v1/interrupt", headers=headers)).status == 403
            assert "access-control-allow-origin" not in answer.headers
        own = await api.ask("GET", "/v1/models", headers={"Origin": api.url})
        assert own.status == 200
        local = await api.ask(
            "GET", "/v1/models", headers={"Origin": api.url.replace("127.0.0.1", "localhost")}
        )
        assert local.status == 200
        assert api.engines.made == []

    on_an_api(fake_site, test)


def test_a_named_origin_may(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        headers = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
        flight = await api.ask("OPTIONS", "/v1/images/generations", headers=headers)
        assert flight.status == 204
        assert flight.headers["access-control-allow-origin"] == FRIEND
        assert "content-type" in flight.headers["access-control-allow-headers"]
        refused = await api.ask("GET", "/v1/models", headers={"Origin": FRIEND})
        assert refused.status == 401
        assert refused.headers["access-control-allow-origin"] == FRIEND
        allowed = {"Origin": FRIEND, "Authorization": f"Bearer {KEY}"}
        assert (await api.ask("GET", "/v1/models", headers=allowed)).status == 200
        page = await api.ask("GET", "/", headers=allowed)
        assert "access-control-allow-origin" not in page.headers

    on_an_api(fake_site, test, key=KEY, cors=(FRIEND,))


def test_hosts(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        port = api.url.rsplit(":", 1)[1]
        for host in (f"localhost:{port}", f"[::1]:{port}"):
            assert (await api.ask("GET", "/v1/models", headers={"Host": host})).status == 200
            page = await api.ask("GET", "/", headers={"Host": host}, allow_redirects=False)
            assert page.status == 308
        for host in ("evil.example", f"evil.example:{port}"):
            assert (await api.ask("GET", "/v1/models", headers={"Host": host})).status == 421
        moved = await api.ask("GET", "/jobs", headers={"Host": "localhost:1"}, allow_redirects=False)
        assert moved.status == 308

    on_an_api(fake_site, test)


def error_of(path: str, body: Any) -> str:
    """The code or type in the error form of the face at `path`."""
    if path.startswith("/sdapi/"):
        return str(body["error"] if "error" in body else body["detail"][0]["type"])
    return str(body["error"]["code"])


@pytest.mark.parametrize("path", ["/jobs", "/v1/images/generations", "/sdapi/v1/txt2img"])
def test_bodies_and_methods(fake_site: Path, path: str) -> None:
    async def test(api: Api) -> None:
        json_type = {"Content-Type": "application/json"}
        large = b'{"prompt": "' + b"x" * (1 << 20) + b'"}'

        async def chunks() -> Any:
            for start in range(0, len(large), 1 << 16):
                yield large[start : start + (1 << 16)]

        cases: list[tuple[Any, dict[str, str], int]] = [
            (b"{", json_type, 400),
            (b"", json_type, 400),
            (b"\xff", json_type, 400),
            (b'{"prompt": "x", "cfg_scale": NaN}', json_type, 400),
            (b"[" * 100_000, json_type, 400),
            (b"[]", json_type, 422 if "sdapi" in path else 400),
            (b'{"prompt": "x"}', {"Content-Type": "text/plain"}, 415),
            (io.BytesIO(large), json_type, 413),
            (chunks(), json_type, 413),
        ]
        for data, headers, status in cases:
            answer = await api.ask("POST", path, data=data, headers=headers)
            assert answer.status == status
            assert error_of(path, answer.json) == "bad-input"
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            answer = await api.ask(method, path)
            assert (answer.status, answer.headers["allow"]) == (405, "POST")
        nothing = await api.ask("GET", path + "/x/y")
        assert nothing.status == 404
        assert error_of(path, nothing.json) == "not-found"
        assert api.engines.made == []

    on_an_api(fake_site, test)


def test_the_site_and_its_headers_are_there_too(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        page = await api.ask("GET", "/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for path in ("/", "/v1/models", "/nothing", "/v1/nothing", "/metrics"):
            answer = await api.ask("GET", path)
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in answer.headers
        health = (await api.ask("GET", "/healthz")).json
        assert (health["status"], health["models"]) == ("ok", ["fake"])

    on_an_api(fake_site, test)


def test_no_answer_names_this_machine(fake_site: Path) -> None:
    async def test(api: Api) -> None:
        bodies = []
        for prompt in ("lose", "device-lost", "internal", "storage-full"):
            for path in ("/v1/images/generations", "/sdapi/v1/txt2img"):
                answer = await api.ask("POST", path, {"prompt": prompt})
                assert answer.status == 500
                bodies.append(answer.body)
        for path in ("/healthz", "/metrics", "/openapi.json", "/sdapi/v1/sd-models", "/v1/models", "/../x"):
            bodies.append((await api.ask("GET", path)).body)
        (fake_site / "index.html").stat()
        for body in bodies:
            for word in (b"/home", b"/tmp", str(fake_site).encode(), b"chromium"):
                assert word not in body.replace(b"headless Chromium", b"")

    on_an_api(fake_site, test)


def test_is_api_and_origins() -> None:
    assert [is_api(p) for p in ("/jobs", "/jobs/x", "/v1/x", "/sdapi/v1/x", "/metrics")] == [True] * 5
    assert [is_api(p) for p in ("/", "/jobsx", "/v/b1/x.js", "/v1", "/w/x.bin")] == [False] * 5
    assert check_origin(FRIEND) == FRIEND
    for bad in ("friend.example", f"{FRIEND}/", f"{FRIEND}/x", "*", "null", "ftp://x", ""):
        with pytest.raises(KleinbildError, match="--cors"):
            check_origin(bad)
