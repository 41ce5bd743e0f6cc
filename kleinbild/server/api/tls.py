"""TLS for a server that other machines may reach: with a certificate that the user gives, or our own."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from kleinbild.errors import KleinbildError

if TYPE_CHECKING:
    from kleinbild.server.api.self_signed import SelfSigned


def own_certificate(folder: Path, name: str) -> SelfSigned:
    """The certificate for the host `name` kept below `folder`, made if need be. Raises KleinbildError."""
    try:
        from kleinbild.server.api.self_signed import self_signed  # noqa: PLC0415
    except ImportError:
        raise KleinbildError(
            "--tls-self-signed: needs the package cryptography; install it with "
            "`.venv/bin/pip install -e '.[tls]'`, or pass a certificate with --tls-cert and --tls-key"
        ) from None
    return self_signed(folder / "tls", name)


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
