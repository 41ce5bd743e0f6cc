"""serve.py from outside: one URL line, one error line, the right exit status, a clean end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from server.fake_site import write_fake_site
from server.raw_http import ROOT, running_server

from kleinbild.errors import KleinbildError
from kleinbild.server.cli import main


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "serve.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def assert_one_error(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(fake_site: Path, number: signal.Signals) -> None:
    with running_server(fake_site) as server:
        assert server.get("/").status == 200
        with socket.create_connection(
            ("127.0.0.1", server.port)
        ):  # an idle connection must not delay the end
            started = time.monotonic()
            server.process.send_signal(number)
            assert server.process.wait(10) == 0
            assert time.monotonic() - started < 5
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""  # the URL was the only line


def test_port_in_use(fake_site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_error(run("--site", fake_site, "--port", port), port, "in use", "--port")


@pytest.mark.parametrize("port", ["70000", "-1", "http", "8080.0", "", "9" * 5000])
def test_bad_port(fake_site: Path, port: str) -> None:
    assert_one_error(run("--site", fake_site, f"--port={port}"), "--port")


def test_bad_host(fake_site: Path) -> None:
    assert_one_error(run("--site", fake_site, "--host", "no.such.host.invalid"), "no.such.host.invalid")
    assert_one_error(run("--site", fake_site, "--host", "192.0.2.1"), "192.0.2.1")


def test_missing_site(tmp_path: Path) -> None:
    assert_one_error(run("--site", tmp_path / "nothing"), "no such folder", "build.py site")


def _remove_shard(site: Path) -> None:
    next((site / "w").glob("*.bin")).unlink()


def _cut_shard(site: Path) -> None:
    next((site / "w").glob("*.bin")).write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda site: (site / "index.html").unlink(), "index.html"),
        (lambda site: (site / "index.html").write_text("<p>"), "index.html"),
        (lambda site: (site / "index.html").write_bytes(b"\xff"), "UTF-8"),
        (lambda site: (site / "models" / "fake.json").unlink(), "fake.json"),
        (lambda site: (site / "models" / "fake.json").write_text("{"), "fake.json"),
        (lambda site: (site / "models" / "fake.json").write_text("[" * 100_000), "fake.json"),
        (lambda site: (site / "models" / "fake.json").write_text('{"schema": 1}'), "schema 1"),
        (
            lambda site: (site / "models" / "fake.json").write_text('{"schema": 4, "shards": [1]}'),
            "fake.json",
        ),
        (lambda site: (site / "v" / "b1").rename(site / "v" / "b0"), "b1"),
        (_remove_shard, "missing"),
        (_cut_shard, "2000"),
    ],
)
def test_broken_site(tmp_path: Path, damage: Callable[[Path], object], word: str) -> None:
    site = write_fake_site(tmp_path / "dist")
    damage(site)
    assert_one_error(run("--site", site), word, str(site))


def test_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    site = write_fake_site(tmp_path / "dist")
    manifest = site / "models" / "fake.json"
    manifest.write_text(manifest.read_text().replace('"path": "w/', '"path": "../w/'))
    assert_one_error(run("--site", site), "path")


def test_usage_errors_exit_2() -> None:
    assert run("bench", "--model", "huge").returncode == 2
    assert run("kiosk", "--fullscreen").returncode == 2
    assert run("generate", "--prompt", "x").returncode == 2
    assert run("--port", "1", "generate", "--prompt", "x", "--output", "x.png").returncode == 2


def test_verbose_logs_requests(fake_site: Path) -> None:
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(fake_site), "--port", "0", "--verbose"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1].strip("/\n"))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /sw.js HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
            while connection.recv(4096):
                pass
        process.terminate()
        _, stderr = process.communicate(timeout=20)
    assert stderr == "GET /sw.js HTTP/1.0 200 883\n" or stderr.startswith("GET /sw.js HTTP/1.0 200 ")


def test_generate_without_a_site_takes_the_model_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no site was built the model is packaged into the cache; a built or named one is taken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "model"
    model.mkdir()
    packaged: list[Path] = []

    def build(source: Path, out: Path, log: Callable[[str], None]) -> None:
        packaged.append(source)
        raise KleinbildError("as far as this test goes")

    def generate(*options: str) -> str:
        words = ["generate", "--prompt", "x", "--output", "x.png", *options]
        assert main(words, write_page=lambda root: None, build_site=build, own_model=model) == 1
        return capsys.readouterr().err

    assert "as far as this test goes" in generate()
    assert packaged == [model]
    assert "no such folder" in generate("--site", "elsewhere")
    Path("dist").mkdir()
    assert "dist" in generate()
    assert packaged == [model]
