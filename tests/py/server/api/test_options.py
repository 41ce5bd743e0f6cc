"""What serve.py --api refuses before anything starts, and the certificate it takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.api.options import ApiArguments, check
from kleinbild.server.api.self_signed import self_signed

KEY = {"KLEINBILD_API_KEY": "0123456789abcdef"}
GIVEN = ApiArguments(
    host="127.0.0.1",
    port=0,
    public_name=None,
    key_file=None,
    tls_cert=None,
    tls_key=None,
    tls_self_signed=False,
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
    """A certificate for the address `name` and a file with its key."""
    made = self_signed(folder, name)
    return made.public, made.secret


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
        ({"host": "192.0.2.1"}, KEY, "a certificate for 192.0.2.1"),
        ({"host": "0.0.0.0"}, KEY, "--public-name"),
        ({"host": "0.0.0.0", "public_name": "big.lan"}, KEY, "a certificate for big.lan"),
        ({"tls_self_signed": True, "tls_cert": Path("cert.pem")}, {}, "needs no --tls-cert"),
        ({"host": "a b", "tls_self_signed": True}, KEY, "no host name"),
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


def test_a_certificate_of_ones_own_is_kept(tmp_path: Path) -> None:
    given = replace(GIVEN, host="192.0.2.1", tls_self_signed=True)
    environ = KEY | {"XDG_STATE_HOME": str(tmp_path)}
    first, again = check(given, environ), check(given, environ)
    assert (first.scheme, first.context is not None) == ("https", True)
    assert first.certificate is not None
    assert first.certificate == again.certificate
    assert first.certificate.secret.is_relative_to(tmp_path / "kleinbild")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kleinbild.server.api.self_signed", None)
    with pytest.raises(KleinbildError, match=r"\.\[tls\]"):
        check(replace(GIVEN, tls_self_signed=True), {})


def test_a_certificate_that_is_given(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "a", "192.0.2.1")
    settings = check(replace(GIVEN, host="192.0.2.1", tls_cert=cert, tls_key=key), KEY)
    assert (settings.scheme, settings.context is not None) == ("https", True)
    _, other = certificate(tmp_path / "b", "192.0.2.1")
    for pair in ((cert, other), (key, cert)):
        with pytest.raises(KleinbildError, match="no certificate with its key"):
            check(replace(GIVEN, tls_cert=pair[0], tls_key=pair[1]), KEY)
