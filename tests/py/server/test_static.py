"""Files over HTTP: types, caching, conditions, ranges, and no way out of the folder."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from server.fake_site import write_fake_site
from server.raw_http import Server, running_server

IMMUTABLE = "public, max-age=31536000, immutable"


def shard_path(site: Path) -> str:
    return "/w/" + next((site / "w").glob("*.bin")).name


@pytest.mark.parametrize(
    ("path", "mime", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/app.webmanifest", "application/manifest+json", "no-cache"),
        ("/models/fake.json", "application/json", "no-cache"),
        ("/icons/icon.svg", "image/svg+xml", "no-cache"),
        ("/v/b1/src_js/app/main.js", "text/javascript; charset=utf-8", IMMUTABLE),
        ("/v/b1/src_js/kernels/add.wgsl", "text/wgsl; charset=utf-8", IMMUTABLE),
        ("/v/b1/css/app.css", "text/css; charset=utf-8", IMMUTABLE),
        ("/v/b1/picture.png", "image/png", IMMUTABLE),
    ],
)
def test_type_and_caching(server: Server, path: str, mime: str, cache: str) -> None:
    answer = server.get(path)
    file = server.site / ("index.html" if path == "/" else path[1:])
    assert answer.status == 200
    assert answer.headers["content-type"] == mime
    assert answer.headers["cache-control"] == cache
    assert answer.body == file.read_bytes()
    head = server.get(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    same = ("content-type", "cache-control", "content-length", "etag", "accept-ranges")
    assert {k: head.headers[k] for k in same} == {k: answer.headers[k] for k in same}


def test_shard_is_immutable_and_tagged_by_its_digest(server: Server) -> None:
    path = shard_path(server.site)
    answer = server.get(path, {"Accept-Encoding": "gzip, br"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["etag"] == f'"{path[3:67]}"'
    assert "content-encoding" not in answer.headers
    assert server.get("/w/" + next((server.site / "w").glob("*.json")).name).status == 200


def test_compressed_weights_are_bytes_like_others(server: Server) -> None:
    """The page unpacks them itself: no encoding is named, none is negotiated, no sibling is picked up."""
    plain = next((server.site / "w").glob("*.bin"))
    packed = plain.with_name("f" * 64 + ".bin.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.with_name(plain.name + ".gz").write_bytes(b"sibling")
    try:
        for file, name in [(packed, packed.name), (plain, plain.name)]:
            for accepted in ("gzip, br", "identity", "*"):
                answer = server.get(f"/w/{name}", {"Accept-Encoding": accepted})
                assert answer.status == 200
                assert answer.body == file.read_bytes()
                assert answer.headers["content-type"] == "application/octet-stream"
                assert answer.headers["cache-control"] == IMMUTABLE
                assert "content-encoding" not in answer.headers
                assert "vary" not in answer.headers
        assert server.get(f"/w/{'f' * 64}.bin").status == 404
        tag = server.get(f"/w/{packed.name}").headers["etag"]
        assert tag != f'"{"f" * 64}"', "the digest is of the plain bytes, not of these"
        part = server.get(f"/w/{packed.name}", {"Range": "bytes=2-4", "If-Range": tag})
        assert (part.status, part.body) == (206, packed.read_bytes()[2:5])
    finally:
        packed.unlink()
        plain.with_name(plain.name + ".gz").unlink()


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"x", {tag}', "*", ' "a,b" ,W/{tag} '])
def test_if_none_match_hits(server: Server, form: str) -> None:
    tag = server.get("/sw.js").headers["etag"]
    answer = server.get("/sw.js", {"If-None-Match": form.format(tag=tag)})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("form", ['"other"', "", "nonsense", "W/"])
def test_if_none_match_misses(server: Server, form: str) -> None:
    assert server.get("/sw.js", {"If-None-Match": form}).status == 200


def test_etag_follows_the_file(tmp_path: Path) -> None:
    site = write_fake_site(tmp_path / "dist")
    with running_server(site) as server:
        before = server.get("/sw.js").headers["etag"]
        (site / "sw.js").write_text("// service workeR\n")
        answer = server.get("/sw.js", {"If-None-Match": before})
    assert answer.status == 200
    assert answer.headers["etag"] != before


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1990-", 1990, 2000),
        ("bytes=1990-5000", 1990, 2000),
        ("bytes=-5", 1995, 2000),
        ("bytes=-5000", 0, 2000),
        ("bytes= 0-1 ", 0, 2),
        ("Bytes=0-1", 0, 2),
    ],
)
def test_range(server: Server, header: str, start: int, end: int) -> None:
    path = shard_path(server.site)
    whole = (server.site / path[1:]).read_bytes()
    answer = server.get(path, {"Range": header})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2000"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.body == whole[start:end]


@pytest.mark.parametrize("header", ["bytes=2000-", "bytes=2000-2001", "bytes=-0", "bytes=99999999999-"])
def test_range_outside_the_file(server: Server, header: str) -> None:
    answer = server.get(shard_path(server.site), {"Range": header})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */2000"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1", "bytes", "bytes=1-2x", ""]
)
def test_other_ranges_are_ignored(server: Server, header: str) -> None:
    answer = server.get(shard_path(server.site), {"Range": header})
    assert (answer.status, len(answer.body)) == (200, 2000)


def test_range_of_head_and_if_range(server: Server) -> None:
    path = shard_path(server.site)
    tag = server.get(path).headers["etag"]
    assert server.get(path, {"Range": "bytes=0-1", "If-Range": tag}).status == 206
    assert server.get(path, {"Range": "bytes=0-1", "If-Range": '"other"'}).status == 200
    assert server.get(path, {"Range": "bytes=0-1", "If-Range": f"W/{tag}"}).status == 200
    assert server.get(path, {"Range": "bytes=0-1"}, method="HEAD").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods(server: Server, method: str) -> None:
    answer = server.get("/", {"Content-Length": "0"}, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_query_is_no_part_of_the_name(server: Server) -> None:
    assert server.get("/sw.js?v=1").status == 200
    assert server.get("/?x=/../..").status == 200


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a site with a secret beside it, links to it, hidden files, and things that are no files."""
    folder = tmp_path_factory.mktemp("trap")
    site = write_fake_site(folder / "dist")
    (folder / "secret.txt").write_text("secret")
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(folder / "secret.txt")
    (site / "inner.txt").symlink_to(site / "sw.js")
    (site / "folder").symlink_to(folder / "outside")
    (site / ".hidden").write_text("secret")
    (site / ".git").mkdir()
    (site / ".git" / "config").write_text("secret")
    os.mkfifo(site / "pipe")
    with running_server(site) as server:
        yield server


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/v/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/./sw.js",
        "/v/../sw.js",
        "/sw.js/",
        "/sw.js%00.txt",
        "/%00",
        "/link.txt",
        "/inner.txt",
        "/folder/secret.txt",
        "/folder",
        "/.hidden",
        "/%2ehidden",
        "/.git/config",
        "/v",
        "/v/",
        "/v/b1",
        "/w/",
        "/pipe",
        "/sw%2ejs",
        "/SW.JS",
        "/" + "a/" * 400,
        "http://127.0.0.1/sw.js",
        "secret.txt",
    ],
)
def test_nothing_escapes(trap: Server, path: str) -> None:
    answer = trap.get(path)
    assert answer.status in (400, 404)
    assert b"secret\n" not in answer.body
    assert answer.body != b"secret"


def test_a_linked_site_folder_is_followed(fake_site: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(fake_site)
    with running_server(tmp_path / "current") as server:
        assert server.get("/sw.js").status == 200
