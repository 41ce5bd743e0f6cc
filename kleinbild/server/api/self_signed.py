"""A certificate of the server's own making, for a name that no authority vouches for: an address in a LAN.

Clients trust it by its file or its fingerprint, so it is kept and used again until it nears its end or the
server has another name. Key and certificate are one file, so that no two of them can ever be mixed up; the
certificate alone lies beside it, for clients. It needs the package cryptography (the extra `tls`).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.files import write_whole

LIFE = timedelta(days=397)  # as long as clients take one that a person has installed, everywhere
RENEW_BEFORE = timedelta(days=14)
CLOCK_ERROR = timedelta(days=1)
MAX_PEM_BYTES = 1 << 16
SECRET_NAME = "key-and-certificate.pem"
PUBLIC_NAME = "certificate.pem"
_DNS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")


@dataclass(frozen=True)
class SelfSigned:
    """secret: the file of key and certificate; public: that of the certificate alone."""

    secret: Path
    public: Path
    fingerprint: str  # SHA-256, as openssl and browsers write it

    def told(self) -> str:
        """What the user must know to trust it, in lines."""
        return (
            f"certificate of our own: SHA-256 fingerprint {self.fingerprint}\n"
            f"trust it with `curl --cacert {self.public}`, Python's SSL_CERT_FILE={self.public}, or, in a "
            "browser, by comparing the fingerprint before you accept it"
        )


def self_signed(folder: Path, name: str, now: datetime | None = None) -> SelfSigned:
    """The certificate for the host `name` kept in `folder`, made anew where there is none that will do.

    Raises KleinbildError when `name` can be in no certificate, or nothing can be written.
    """
    secret, public = folder / SECRET_NAME, folder / PUBLIC_NAME
    now = now or datetime.now(UTC)
    certificate = _kept(secret, name, now)
    if certificate is None:
        pem, certificate = _make(name, now)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise KleinbildError(f"{folder}: cannot be made ({error.strerror})") from None
        write_whole(secret, pem, private=True)
    write_whole(public, _pem_of(certificate))
    return SelfSigned(secret, public, _fingerprint(certificate))


def _kept(secret: Path, name: str, now: datetime) -> x509.Certificate | None:
    """The certificate in `secret`, if it may be used for `name` at `now`."""
    try:
        with secret.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                return None  # others may have read the key
            data = file.read(MAX_PEM_BYTES)
        certificate = x509.load_pem_x509_certificate(data)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if load_pem_private_key(data, None).public_key() != certificate.public_key():
            return None
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return None
    timely = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    return certificate if timely and list(names) == [_general_name(name)] else None


def _make(name: str, now: datetime) -> tuple[bytes, x509.Certificate]:
    """Key and certificate as one PEM, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Kleinbild, self-signed")])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(subject, subject, public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_ERROR)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + _pem_of(certificate), certificate


def _general_name(name: str) -> x509.GeneralName:
    """`name`, a host or an address, as a certificate names it. Raises KleinbildError."""
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        if not _DNS_NAME.fullmatch(name):
            raise KleinbildError(f"{name}: no host name for a certificate") from None
        return x509.DNSName(name.lower())


def _pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
