"""serve.py --api from outside, with a real browser and a stand-in for the model: start, loss, end."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from server.fake_site import png
from server.raw_http import ROOT

from kleinbild.server.cli import main

SECONDS = 60


@dataclass
class Api:
    """A running serve.py --api."""

    process: subprocess.Popen[str]
    url: str
    context: ssl.SSLContext | None = None
    key: str | None = None
    patience: float = SECONDS
    page: str = ""
    """What it printed: with --attach, the address that attaches a page."""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of one answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.patience, context=self.context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer."""
        return json.loads(self.ask(method, path, body)[1])

    def wait(self, path: str, *words: str) -> str:
        """Ask for `path` until its answer holds all of `words`."""
        end = time.monotonic() + self.patience
        while True:
            text = self.ask("GET", path)[1].decode()
            if all(word in text for word in words):
                return text
            assert time.monotonic() < end, text
            time.sleep(0.05)

    def events(self, job: str) -> list[Any]:
        """Every record of a job's event stream, to its end."""
        url = f"{self.url}/jobs/{job}/events"
        with urllib.request.urlopen(url, timeout=self.patience, context=self.context) as stream:
            lines = [line for line in stream if line.startswith(b"data: ")]
        return [json.loads(line.removeprefix(b"data: ")) for line in lines]

    def browser(self) -> int:
        """Id of the browser's process."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # gone meanwhile
            if int(fields[1]) == self.process.pid and b"--user-data-dir" in command and fields[0] != "Z":
                return int(folder.name)
        raise AssertionError("there is no browser")


@contextmanager
def running_api(
    site: Path, cache: Path, *arguments: str | Path, own_browser: bool = True, **environ: str
) -> Iterator[Api]:
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(site), "--port", "0", "--api"]
    command += [*(["--adapter", "software"] if own_browser else ["--attach"]), *map(str, arguments)]
    env = os.environ | {"XDG_CACHE_HOME": str(cache)} | environ
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert process.stderr is not None
            assert line.startswith("http"), process.stderr.read()
            yield Api(process, line.partition("#")[0].strip().rstrip("/"), page=line.strip())
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def test_the_life_of_a_server(fake_site: Path, tmp_path: Path) -> None:
    """One browser for all of it: pictures, a cancel, a killed browser, an end that lets a picture end."""
    with running_api(fake_site, tmp_path) as api, ThreadPoolExecutor() as pool:
        api.wait("/healthz", '"ok"')
        note = json.loads((tmp_path / "kleinbild" / "api.json").read_text())
        assert note["url"] == api.url

        made = api.json("POST", "/v1/images/generations", {"prompt": "x"})
        assert api.ask("GET", made["data"][0]["url"].removeprefix(api.url)) == (200, png(64, 64))

        job = api.json("POST", "/jobs", {"prompt": "hang"})["id"]
        api.wait(f"/jobs/{job}", '"transformer"')
        began = time.monotonic()
        assert api.json("DELETE", f"/jobs/{job}")["state"] == "cancelled"
        assert time.monotonic() - began < 5

        job = api.json("POST", "/jobs", {"prompt": "hang"})["id"]
        waiting = api.json("POST", "/jobs", {"prompt": "x"})["id"]
        api.wait(f"/jobs/{job}", '"transformer"')
        os.kill(api.browser(), signal.SIGKILL)
        api.wait("/metrics", "kleinbild_engine_restarts_total 1.0")
        api.wait(f"/jobs/{job}", '"running"', '"transformer"')
        os.kill(api.browser(), signal.SIGKILL)
        assert "engine-lost" in api.wait(f"/jobs/{job}", '"failed"')
        api.wait(f"/jobs/{waiting}", '"done"')
        metrics = api.ask("GET", "/metrics")[1].decode()
        assert "kleinbild_engine_restarts_total 2.0" in metrics
        assert 'kleinbild_pictures_total{code="engine-lost",state="failed"} 1.0' in metrics

        slow = pool.submit(api.ask, "POST", "/v1/images/generations", {"prompt": "slow"})
        held = pool.submit(api.ask, "POST", "/sdapi/v1/txt2img", {"prompt": "x"})
        api.wait("/metrics", "kleinbild_queue_length 1.0", "kleinbild_pictures_in_hand 1.0")
        api.process.send_signal(signal.SIGTERM)
        assert slow.result(SECONDS)[0] == 200
        assert held.result(SECONDS)[0] == 503
        assert api.process.wait(SECONDS) == 0
        assert not (tmp_path / "kleinbild" / "api.json").exists()


def test_a_second_signal_ends_at_once(fake_site: Path, tmp_path: Path) -> None:
    with running_api(fake_site, tmp_path, "--grace", "3600") as api:
        api.wait("/healthz", '"ok"')
        job = api.json("POST", "/jobs", {"prompt": "hang"})["id"]
        api.wait(f"/jobs/{job}", '"transformer"')
        api.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert api.process.poll() is None
        api.process.send_signal(signal.SIGINT)
        assert api.process.wait(20) == 0


def test_a_browser_that_does_not_start_is_one_line(fake_site: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(fake_site), "--port", "0", "--api"]
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "CHROMIUM": "/bin/false"}
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: the browser ended with status 1")


def test_tls_and_key(fake_site: Path, tmp_path: Path) -> None:
    secret = "s" * 32
    with running_api(
        fake_site,
        tmp_path,
        "--tls-self-signed",
        KLEINBILD_API_KEY=secret,
        XDG_STATE_HOME=str(tmp_path),
    ) as api:
        cert = tmp_path / "kleinbild" / "tls" / "certificate.pem"
        assert api.url.startswith("https://127.0.0.1:")
        api.context = ssl.create_default_context(cafile=str(cert))
        assert api.ask("GET", "/v1/models")[0] == 401
        api.key = secret
        api.wait("/healthz", '"ok"')
        assert api.json("POST", "/v1/images/generations", {"prompt": "x"})["data"][0]["url"].startswith(
            api.url
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-waiting", "9"),
        ("--api", "generate"),
        ("--cors", "x"),
        ("--attach",),
        ("--api", "--page-wait", "9"),
        ("--api", "--attach", "--memory-budget", "8"),
    ],
)
def test_misuse_exits_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, write_page=print, build_site=print)
    assert ended.value.code == 2
