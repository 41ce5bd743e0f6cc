"""What may be asked of serve.py --api, as given on the command line, checked before anything is started."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kleinbild.errors import KleinbildError
from kleinbild.server.api import tls
from kleinbild.server.api.guard import check_key, check_origin, read_key
from kleinbild.server.api.limits import Limits
from kleinbild.server.generate.profile import state_folder
from kleinbild.server.generate.request import memory_budget_bytes
from kleinbild.server.host import is_loopback
from kleinbild.server.queue.queue import QueueLimits

if TYPE_CHECKING:
    from kleinbild.server.api.self_signed import SelfSigned

KEY_VARIABLE = "KLEINBILD_API_KEY"
MAX_WAITING = 10_000
MAX_KEEP_SECONDS = 7 * 24 * 3600
MAX_KEEP_MB = 1 << 20
MAX_GRACE_SECONDS = 3600
MAX_PAGE_WAIT_SECONDS = 3600


@dataclass(frozen=True)
class ApiArguments:
    """The command line as given; None stands for "not given"."""

    host: str
    port: int
    public_name: str | None
    key_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_self_signed: bool
    cors: tuple[str, ...]
    max_waiting: int
    keep_seconds: int
    keep_mb: int
    grace: int
    precision: str
    adapter: str
    memory_budget: float | None
    attach: bool
    page_wait: int
    verbose: bool


@dataclass(frozen=True)
class Settings:
    """The checked settings. `name` is the host that clients know, `scheme` theirs; `certificate`: our own."""

    name: str
    scheme: str
    key: str | None
    context: ssl.SSLContext | None
    certificate: SelfSigned | None
    cors: tuple[str, ...]
    queue: QueueLimits
    limits: Limits


def check(given: ApiArguments, environ: Mapping[str, str]) -> Settings:
    """The settings that `given` and the key in `environ` ask for. Raises KleinbildError."""
    key = _key(given.key_file, environ)
    name = given.public_name or given.host
    if not is_loopback(given.host):
        if name in ("", "0.0.0.0", "::"):
            raise KleinbildError(f"--host {given.host}: name the host that clients know with --public-name")
        if key is None:
            raise KleinbildError(
                f"--host {given.host}: other machines get in only with a key; "
                f"set ${KEY_VARIABLE}, or --key-file"
            )
        if given.tls_cert is None and not given.tls_self_signed:
            raise KleinbildError(
                f"--host {given.host}: other machines get in only over TLS; --tls-self-signed makes a "
                f"certificate for {name}, or pass yours with --tls-cert and --tls-key"
            )
    if given.tls_self_signed and given.tls_cert is not None:
        raise KleinbildError("--tls-self-signed: needs no --tls-cert")
    if (given.tls_cert is None) != (given.tls_key is None):
        raise KleinbildError("--tls-cert and --tls-key belong together")
    limits = Limits(memory_budget=memory_budget_bytes(given.memory_budget))
    _range("--max-waiting", given.max_waiting, limits.pictures, MAX_WAITING)
    _range("--keep-seconds", given.keep_seconds, 1, MAX_KEEP_SECONDS)
    _range("--keep-mb", given.keep_mb, 16, MAX_KEEP_MB)
    _range("--grace", given.grace, 0, MAX_GRACE_SECONDS)
    _range("--page-wait", given.page_wait, 0, MAX_PAGE_WAIT_SECONDS)
    page_seconds = given.page_wait if given.attach else None
    cors = tuple(check_origin(origin) for origin in given.cors)
    context = certificate = None
    if given.tls_cert is not None and given.tls_key is not None:
        context = tls.server_context(given.tls_cert, given.tls_key)
    elif given.tls_self_signed:
        certificate = tls.own_certificate(state_folder(environ), name)
        context = tls.server_context(certificate.secret, certificate.secret)
    return Settings(
        name=name,
        scheme="http" if context is None else "https",
        key=key,
        context=context,
        certificate=certificate,
        cors=cors,
        queue=QueueLimits(given.max_waiting, given.keep_seconds, given.keep_mb << 20, page_seconds),
        limits=limits,
    )


def _key(path: Path | None, environ: Mapping[str, str]) -> str | None:
    if path is not None:
        return read_key(path)
    key = environ.get(KEY_VARIABLE)
    return check_key(key, f"${KEY_VARIABLE}") if key else None


def _range(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise KleinbildError(f"{option} {value}: must be {low} to {high}")
