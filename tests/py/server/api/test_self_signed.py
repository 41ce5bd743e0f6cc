"""The certificate of the server's own making: who takes it, how long it stays, and who may read its key."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.api.self_signed import LIFE, RENEW_BEFORE, SelfSigned, self_signed
from kleinbild.server.api.tls import server_context

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def shake_hands(made: SelfSigned, name: str) -> bytes:
    """A client that trusts the public file and wants the server `name`; the certificate it was shown."""
    server, client = socket.socketpair()
    context = server_context(made.secret, made.secret)

    def serve() -> None:
        with server, contextlib.suppress(OSError):  # of a client that refuses
            context.wrap_socket(server, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    trusting = ssl.create_default_context(cafile=str(made.public))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of newer Pythons
    try:
        with client, trusting.wrap_socket(client, server_hostname=name) as connection:
            shown = connection.getpeercert(binary_form=True)
            assert shown is not None
            return shown
    finally:
        thread.join()


@pytest.mark.parametrize(
    ("name", "asked"),
    [("192.0.2.7", "192.0.2.7"), ("Big.lan", "big.lan"), ("::1", "::1"), ("[2001:db8::1]", "2001:db8::1")],
)
def test_clients_that_trust_the_file_take_it_for_its_name_alone(
    tmp_path: Path, name: str, asked: str
) -> None:
    made = self_signed(tmp_path, name)
    digest = hashlib.sha256(shake_hands(made, asked)).hexdigest().upper()
    assert made.fingerprint.replace(":", "") == digest
    assert made.fingerprint in made.told()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, "192.0.2.8")


def test_it_stays_until_it_nears_its_end_or_the_name_changes(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    first = self_signed(folder, "big.lan", NOW)
    assert timedelta(days=365) <= LIFE <= timedelta(days=2 * 366)
    last_day = NOW + LIFE - RENEW_BEFORE - timedelta(seconds=1)
    first.public.unlink()
    assert self_signed(folder, "BIG.lan", last_day) == first
    assert first.public.exists()
    fingerprints = {first.fingerprint}
    for name, now in (
        ("big.lan", NOW + LIFE - RENEW_BEFORE),
        ("other.lan", NOW),
        ("192.0.2.1", NOW),
        ("192.0.2.1", NOW - timedelta(days=2)),  # a clock that was set back
    ):
        fingerprints.add(self_signed(folder, name, now).fingerprint)
    assert len(fingerprints) == 5
    assert sorted(path.name for path in folder.iterdir()) == ["certificate.pem", "key-and-certificate.pem"]


def test_the_key_is_the_users_alone(tmp_path: Path) -> None:
    made = self_signed(tmp_path / "tls", "big.lan")
    assert stat.S_IMODE(made.secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.secret.parent.stat().st_mode) == 0o700
    assert b"PRIVATE" in made.secret.read_bytes()
    assert b"PRIVATE" not in made.public.read_bytes()
    made.secret.chmod(0o640)
    assert self_signed(tmp_path / "tls", "big.lan").fingerprint != made.fingerprint
    assert stat.S_IMODE(made.secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("fault", ["empty", "cut", "other key", "no names", "folder"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, fault: str) -> None:
    made = self_signed(tmp_path, "big.lan")
    key, _, certificate = made.secret.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
    other = self_signed(tmp_path / "other", "big.lan").secret.read_bytes().partition(b"-----BEGIN CERT")[0]
    damaged = {
        "empty": b"",
        "cut": key + b"-----BEGIN CERTIFICATE-----" + certificate[:300],
        "other key": other + b"-----BEGIN CERTIFICATE-----" + certificate,
        "no names": key + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    if fault == "folder":
        made.secret.unlink()
        made.secret.mkdir()
        with pytest.raises(KleinbildError, match="cannot be written"):
            self_signed(tmp_path, "big.lan")
        return
    made.secret.write_bytes(damaged[fault])
    again = self_signed(tmp_path, "big.lan")
    assert again.fingerprint != made.fingerprint
    shake_hands(again, "big.lan")


@pytest.mark.parametrize("name", ["", "a b", "*.lan", "\u00fc.lan", "x" * 254, "a/b", "-a"])
def test_what_is_no_host_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(KleinbildError, match="no host name"):
        self_signed(tmp_path, name)
