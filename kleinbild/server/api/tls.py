"""TLS for a server that other machines may reach: with a certificate that the user gives."""

from __future__ import annotations

import ssl
from pathlib import Path

from kleinbild.errors import KleinbildError

ADVICE = (
    "make a certificate with `openssl req -x509 -newkey rsa:3072 -nodes -days 365 -keyout key.pem "
    '-out cert.pem -subj "/CN={name}" -addext "subjectAltName={kind}:{name}"` '
    "and pass --tls-cert cert.pem --tls-key key.pem"
)


def advice(name: str) -> str:
    """How to get a certificate for `name`, a host name or an address."""
    is_address = name.replace(".", "").isdigit() or ":" in name
    return ADVICE.format(name=name, kind="IP" if is_address else "DNS")


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context with `certificate` and its `key` (PEM). Raises KleinbildError when they cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # No password: a key that wants one would have the server ask at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        reason = error.reason or "no PEM"
        raise KleinbildError(f"{certificate}, {key}: no certificate with its key ({reason})") from None
    except OSError as error:
        raise KleinbildError(f"{certificate}, {key}: cannot be read ({error.strerror})") from None
    return context
