"""What serve.py --api refuses before anything starts, and the certificate it takes."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.api.options import ApiArguments, check
from kleinbild.server.api.tls import advice

KEY = {"KLEINBILD_API_KEY": "0123456789abcdef"}
GIVEN = ApiArguments(
    host="127.0.0.1",
    port=0,
    public_name=None,
    key_file=None,
    tls_cert=None,
    tls_key=None,
    cors=(),
    max_waiting=32,
    keep_seconds=600,
    keep_mb=256,
    grace=20,
    precision="auto",
    adapter="auto",
    memory_budget=None,
    attach=False,
    page_wait=60,
    verbose=False,
)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for the address `name`, made by the command that the advice prints."""
    command = advice(name).split("`")[1]
    folder.mkdir(exist_ok=True)
    subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_this_machine_needs_neither_key_nor_certificate() -> None:
    settings = check(GIVEN, {})
    assert (settings.name, settings.scheme, settings.key) == ("127.0.0.1", "http", None)
    assert (settings.queue.keep_bytes, settings.queue.page_seconds) == (256 << 20, None)
    assert check(replace(GIVEN, attach=True), {}).queue.page_seconds == 60
    assert check(replace(GIVEN, memory_budget=2.5), KEY).limits.memory_budget == 2_500_000_000


@pytest.mark.parametrize(
    ("changes", "environ", "word"),
    [
        ({"host": "192.0.2.1"}, {}, "KLEINBILD_API_KEY"),
        ({"host": "192.0.2.1"}, KEY, "IP:192.0.2.1"),
        ({"host": "0.0.0.0"}, KEY, "--public-name"),
        ({"host": "0.0.0.0", "public_name": "big.lan"}, KEY, "DNS:big.lan"),
        ({"tls_cert": Path("cert.pem")}, {}, "belong together"),
        ({"tls_cert": Path("/nowhere"), "tls_key": Path("/nowhere")}, {}, "cannot be read"),
        ({"key_file": Path("/nowhere/key")}, {}, "/nowhere/key"),
        ({}, {"KLEINBILD_API_KEY": "short"}, "openssl rand"),
        ({"cors": ("*",)}, {}, "--cors"),
        ({"max_waiting": 7}, {}, "--max-waiting"),
        ({"keep_seconds": 0}, {}, "--keep-seconds"),
        ({"keep_mb": 1}, {}, "--keep-mb"),
        ({"grace": -1}, {}, "--grace"),
        ({"attach": True, "page_wait": 3601}, {}, "--page-wait"),
        ({"memory_budget": 0.1}, {}, "--memory-budget"),
    ],
)
def test_refused(changes: dict[str, object], environ: dict[str, str], word: str) -> None:
    with pytest.raises(KleinbildError) as refused:
        check(replace(GIVEN, **changes), environ)  # type: ignore[arg-type]
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_certificate_made_as_advised(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "a", "192.0.2.1")
    settings = check(replace(GIVEN, host="192.0.2.1", tls_cert=cert, tls_key=key), KEY)
    assert (settings.scheme, settings.context is not None) == ("https", True)
    _, other = certificate(tmp_path / "b", "192.0.2.1")
    for pair in ((cert, other), (key, cert)):
        with pytest.raises(KleinbildError, match="no certificate with its key"):
            check(replace(GIVEN, tls_cert=pair[0], tls_key=pair[1]), KEY)
