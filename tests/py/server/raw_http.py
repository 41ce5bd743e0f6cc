"""A server process of the fake site and a client that sends exactly the bytes it is given.

HTTP libraries tidy up paths and headers before they send them, which is what these tests must not have.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """A parsed HTTP answer; header names are lower case, values of repeated ones are joined with commas."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """A running serve.py."""

    process: subprocess.Popen[str]
    host: str
    port: int
    site: Path

    @property
    def authority(self) -> str:
        """host:port as the canonical URL has it."""
        return f"{self.host}:{self.port}"

    def send(self, request: bytes, host: str = "127.0.0.1") -> Answer:
        """Send `request` as it is and read until the server closes."""
        with socket.create_connection((host, self.port), TIMEOUT_SECONDS) as connection:
            connection.sendall(request)
            data = b""
            while chunk := connection.recv(1 << 16):
                data += chunk
        return parse_answer(data)

    def get(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", host: str | None = None
    ) -> Answer:
        """One request for `path`, unaltered; `host` replaces the Host header ("" leaves it out)."""
        name = self.authority if host is None else host
        lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
        lines += [f"Host: {name}"] if name else []
        lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
        return self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


def parse_answer(data: bytes) -> Answer:
    """Status, headers and body of one answer."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        name = key.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return Answer(int(first.split()[1]), headers, body)


@contextmanager
def running_server(site: Path, *arguments: str) -> Iterator[Server]:
    """`serve.py --site site --port 0` with more `arguments`, ended by SIGTERM."""
    command = [sys.executable, str(ROOT / "serve.py"), "--site", str(site), "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"http://(\[::1\]|[a-z0-9.]+):([0-9]+)/\n", line)
            assert found, f"serve.py printed {line!r}"
            yield Server(process, found[1], int(found[2]), site)
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)
