"""The PIN: what is written out comes back, and wrong tries close the lock for longer and longer."""

from __future__ import annotations

import asyncio

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.kiosk.command import hash_pin
from kleinbild.server.kiosk.pin import LONGEST_LOCK_SECONDS, PinHash, PinLock


def test_round_trip() -> None:
    made = PinHash.of("271828")
    assert PinHash.parse(str(made)) == made
    assert made.fits("271828")
    assert not made.fits("271829")
    assert PinHash.of("271828") != made  # a salt of its own


def test_hash_pin() -> None:
    line = hash_pin(lambda _: " 271828 ")
    assert line.startswith('"pin_hash": "scrypt:16384:')
    assert PinHash.parse(line.split('"')[3]).fits("271828")
    with pytest.raises(KleinbildError, match="6 to 12 digits"):
        hash_pin(lambda _: "12345")


def test_the_lock_grows_and_the_right_pin_waits_too() -> None:
    now = 0.0
    cheap = PinHash.of("271828", cost=2)

    async def run() -> None:
        nonlocal now
        lock = PinLock(cheap, lambda: now)
        tries = [await lock.try_pin("000000") for _ in range(4)]
        assert [t.tries_left for t in tries] == [4, 3, 2, 1]
        assert all(t.wait == 0 and not t.fits for t in tries)
        waits = []
        for _ in range(10):
            verdict = await lock.try_pin("000000")
            waits.append(verdict.wait)
            assert not (await lock.try_pin("271828")).fits  # locked: not even looked at
            now += verdict.wait + 0.01
        assert waits[:4] == [30, 60, 120, 240]
        assert waits[-1] == LONGEST_LOCK_SECONDS
        assert (await lock.try_pin("271828")).fits
        assert (await lock.try_pin("000000")).tries_left == 4  # a right one clears the count

    asyncio.run(run())
