"""Keeps one process running: started again when it ends, hangs, or is asked to, with a growing pause between.

Knows neither browser nor server, and takes the time from a clock, so that tests need none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from kleinbild.errors import KleinbildError

EX_TEMPFAIL = 75  # of sysexits.h: trying again later may help


class GaveUp(KleinbildError):
    """A process did not stay up however often it was started."""

    exit_status = EX_TEMPFAIL


class Process(Protocol):
    """What is kept running."""

    async def wait(self) -> int:
        """Its exit status, once it has ended."""

    async def stop(self) -> None:
        """End it, and all that belongs to it, whether it has ended or not."""


class Clock(Protocol):
    """Seconds, and waiting for them."""

    def now(self) -> float:
        """Seconds since some moment."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class WallClock:
    """The machine's own."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Limits:
    """Seconds. starting: until the first sign of life; silence: between two; healthy: pauses start over."""

    starting: float
    silence: float
    first_pause: float = 1.0
    longest_pause: float = 60.0
    healthy: float = 120.0
    tries: int = 12  # ends in a row that none of them was healthy


class Keeper:
    """One process, kept running by `run`. `restarts` counts the starts after the first."""

    def __init__(
        self,
        name: str,
        start: Callable[[], Awaitable[Process]],
        limits: Limits,
        clock: Clock,
        note: Callable[[str], None],
    ) -> None:
        """`start` may raise KleinbildError, which counts as an end; `note` gets a line for every end."""
        self.name = name
        self.restarts = 0
        self.last_reason = ""
        self._start = start
        self._limits = limits
        self._clock = clock
        self._note = note
        self._asked = asyncio.Event()
        self._failed = ""
        self._deadline = 0.0
        self._unhealthy = 0

    def alive(self) -> None:
        """A sign of life came."""
        self._deadline = self._clock.now() + self._limits.silence

    def excuse(self) -> None:
        """Something that it depends on was away: it gets the time of a start to give the next sign."""
        self._deadline = max(self._deadline, self._clock.now() + self._limits.starting)

    def restart(self) -> None:
        """Start it anew, at once: somebody wants that, nothing is wrong."""
        self._asked.set()

    def fail(self, reason: str) -> None:
        """Treat it as ended: it runs, and is of no use."""
        self._failed = reason
        self._asked.set()

    async def run(self) -> NoReturn:
        """Start it and keep it running; cancelled, it stops it. Raises GaveUp."""
        while True:
            self._asked.clear()
            self._failed = ""
            began = self._clock.now()
            self._deadline = began + self._limits.starting
            reason = await self._one_life()
            self.restarts += 1
            self.last_reason = reason
            if reason == "asked":
                self._note(f"{self.name}: started anew, as asked")
                continue
            if self._clock.now() - began >= self._limits.healthy:
                self._unhealthy = 0
            self._unhealthy += 1
            if self._unhealthy >= self._limits.tries:
                raise GaveUp(f"{self.name}: {reason}; tried {self._unhealthy} times in a row")
            pause = self.pause(self._unhealthy)
            self._note(f"{self.name}: {reason}; started again in {pause:.0f} s")
            await self._clock.sleep(pause)

    def pause(self, unhealthy: int) -> float:
        """Seconds to wait after `unhealthy` ends in a row, from 1."""
        return min(self._limits.longest_pause, self._limits.first_pause * 2.0 ** min(unhealthy - 1, 30))

    async def _one_life(self) -> str:
        """Start it, return why it ended, in words; "asked" when somebody wanted that."""
        try:
            process = await self._start()
        except KleinbildError as error:
            return str(error)
        ended = asyncio.ensure_future(process.wait())
        asked = asyncio.ensure_future(self._asked.wait())
        hung = asyncio.ensure_future(self._hangs())
        waits: set[asyncio.Future[Any]] = {ended, asked, hung}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return f"ended with status {ended.result()}"
            return (self._failed or "asked") if asked.done() else "gave no sign of life"
        finally:
            for wait in waits:
                wait.cancel()
            await process.stop()

    async def _hangs(self) -> None:
        """Return once the deadline has passed; signs of life put it off."""
        while (left := self._deadline - self._clock.now()) > 0:
            await self._clock.sleep(left)
