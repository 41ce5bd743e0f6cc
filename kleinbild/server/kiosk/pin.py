"""The operator's PIN: a salted hash, compared in constant time, behind a lock that grows with wrong tries."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

MIN_PIN_DIGITS, MAX_PIN_DIGITS = 6, 12
SALT_BYTES, DIGEST_BYTES = 16, 32
COST, BLOCK, LANES = 1 << 14, 8, 1  # scrypt: 16 MiB and some 50 ms a try
MAX_COST = 1 << 17
FREE_TRIES = 5
FIRST_LOCK_SECONDS, LONGEST_LOCK_SECONDS = 30.0, 3600.0
HASH_ADVICE = "write one with `serve.py kiosk --hash-pin`"
_HASH = re.compile(r"scrypt:([0-9]{1,7}):([A-Za-z0-9+/]{22}==):([A-Za-z0-9+/]{43}=)")


@dataclass(frozen=True)
class PinHash:
    """scrypt of a PIN; as text `scrypt:COST:SALT:DIGEST`, salt (16 bytes) and digest (32) in base64."""

    cost: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, pin: str, cost: int = COST) -> PinHash:
        """The hash of `pin`, with a salt of its own."""
        salt = os.urandom(SALT_BYTES)
        return cls(cost, salt, _scrypt(pin, cost, salt))

    @classmethod
    def parse(cls, text: str) -> PinHash:
        """The hash that `text` writes out. Raises ValueError with the reason."""
        match = _HASH.fullmatch(text)
        cost = int(match[1]) if match else 0
        if match is None or not COST <= cost <= MAX_COST or cost & (cost - 1):
            raise ValueError("is no hash that this program wrote")
        return cls(cost, base64.b64decode(match[2]), base64.b64decode(match[3]))

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt:{self.cost}:{salt}:{digest}"

    def fits(self, pin: str) -> bool:
        """Whether `pin` is the one; takes the same time for every PIN."""
        return hmac.compare_digest(_scrypt(pin, self.cost, self.salt), self.digest)


@dataclass(frozen=True)
class Verdict:
    """fits: let in; else tries_left before the lock, and wait: seconds until the next try counts."""

    fits: bool
    tries_left: int
    wait: float


class PinLock:
    """One PIN and the count of wrong tries. After FREE_TRIES each further wrong one doubles the wait."""

    def __init__(self, pin: PinHash, clock: Callable[[], float]) -> None:
        self._pin = pin
        self._clock = clock
        self._wrong = 0
        self._opens = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def try_pin(self, pin: str) -> Verdict:
        """What becomes of this try. While the lock holds, no PIN is even looked at."""
        async with self._one_at_a_time:
            wait = self._opens - self._clock()
            if wait > 0:
                return Verdict(False, 0, wait)
            if await asyncio.to_thread(self._pin.fits, pin):
                self._wrong = 0
                return Verdict(True, FREE_TRIES, 0.0)
            self._wrong += 1
            over = self._wrong - FREE_TRIES
            if over < 0:
                return Verdict(False, -over, 0.0)
            wait = min(LONGEST_LOCK_SECONDS, FIRST_LOCK_SECONDS * 2.0 ** min(over, 30))
            self._opens = self._clock() + wait
            return Verdict(False, 0, wait)


def _scrypt(pin: str, cost: int, salt: bytes) -> bytes:
    room = 256 * cost * BLOCK + (1 << 20)  # twice what it needs
    return hashlib.scrypt(pin.encode(), salt=salt, n=cost, r=BLOCK, p=LANES, maxmem=room, dklen=DIGEST_BYTES)
