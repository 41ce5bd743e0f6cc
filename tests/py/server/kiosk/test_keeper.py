"""The keeper with made-up processes and a made-up clock: ends, hangs, pauses, giving up, and stopping."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.kiosk.keeper import EX_TEMPFAIL, GaveUp, Keeper, Limits

LIMITS = Limits(starting=60, silence=20, first_pause=1, longest_pause=8, healthy=100, tries=6)


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.time + seconds, self._count, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        end = self.time + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.time, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self.time = end
        await settle()


class Fake:
    """A process that ends when a test says so."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.stopped = 0

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    async def stop(self) -> None:
        self.stopped += 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Bench:
    """A running keeper and what it did."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.started: list[Fake] = []
        self.notes: list[str] = []
        self.refuse = False
        self.keeper = Keeper("browser", self.start, LIMITS, self.clock, self.notes.append)

    async def start(self) -> Fake:
        if self.refuse:
            raise KleinbildError("no such program")
        self.started.append(Fake())
        return self.started[-1]


def with_bench(use: Callable[[Bench, asyncio.Task[None]], Awaitable[None]]) -> None:
    async def run() -> None:
        bench = Bench()
        running = asyncio.ensure_future(bench.keeper.run())
        await settle()
        try:
            await use(bench, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_ends_are_answered_with_growing_pauses_that_are_capped() -> None:
    async def use(bench: Bench, _: asyncio.Task[None]) -> None:
        for count, pause in enumerate([1, 2, 4, 8, 8], start=1):
            assert len(bench.started) == count
            bench.started[-1].ended.set_result(count)
            await bench.clock.pass_by(pause - 0.01)
            assert len(bench.started) == count
            assert bench.notes[-1] == f"browser: ended with status {count}; started again in {pause} s"
            await bench.clock.pass_by(0.02)
        assert [fake.stopped for fake in bench.started] == [1, 1, 1, 1, 1, 0]  # what was left of it is ended
        assert bench.keeper.restarts == 5

    with_bench(use)


def test_a_healthy_time_resets_the_pause() -> None:
    async def use(bench: Bench, _: asyncio.Task[None]) -> None:
        for _again in range(3):
            bench.started[-1].ended.set_result(1)
            await bench.clock.pass_by(8)
        for _again in range(6):
            bench.keeper.alive()
            await bench.clock.pass_by(19)
        bench.started[-1].ended.set_result(1)
        await bench.clock.pass_by(0)
        assert bench.notes[-1].endswith("started again in 1 s")

    with_bench(use)


def test_it_gives_up_at_last() -> None:
    async def use(bench: Bench, running: asyncio.Task[None]) -> None:
        bench.refuse = True
        bench.started[-1].ended.set_result(1)
        await bench.clock.pass_by(100)
        with pytest.raises(GaveUp, match="browser: no such program; tried 6 times in a row") as caught:
            await running
        assert caught.value.exit_status == EX_TEMPFAIL

    with_bench(use)


def test_a_hang_is_found_after_the_first_sign_and_before_it() -> None:
    async def use(bench: Bench, _: asyncio.Task[None]) -> None:
        await bench.clock.pass_by(59)
        assert bench.notes == []  # a start takes its time
        await bench.clock.pass_by(2)
        assert bench.notes == ["browser: gave no sign of life; started again in 1 s"]
        assert bench.started[0].stopped == 1
        await bench.clock.pass_by(1)
        for _again in range(5):
            await bench.clock.pass_by(15)
            bench.keeper.alive()
        assert len(bench.started) == 2
        await bench.clock.pass_by(21)
        assert bench.started[1].stopped == 1

    with_bench(use)


def test_an_excuse_gives_the_time_of_a_start() -> None:
    async def use(bench: Bench, _: asyncio.Task[None]) -> None:
        bench.keeper.alive()
        await bench.clock.pass_by(10)
        bench.keeper.excuse()
        await bench.clock.pass_by(59)
        assert bench.started[0].stopped == 0
        await bench.clock.pass_by(2)
        assert bench.started[0].stopped == 1

    with_bench(use)


def test_asked_for_it_starts_anew_at_once_and_counts_no_failure() -> None:
    async def use(bench: Bench, running: asyncio.Task[None]) -> None:
        for count in range(2, 12):
            bench.keeper.restart()
            await bench.clock.pass_by(0)
            assert len(bench.started) == count
        assert not running.done()
        assert bench.notes[-1] == "browser: started anew, as asked"

    with_bench(use)


def test_a_failure_told_from_outside_counts() -> None:
    async def use(bench: Bench, _: asyncio.Task[None]) -> None:
        bench.keeper.fail("no GPU")
        await bench.clock.pass_by(0.5)
        assert bench.notes == ["browser: no GPU; started again in 1 s"]
        assert (len(bench.started), bench.started[0].stopped) == (1, 1)
        await bench.clock.pass_by(1)
        assert len(bench.started) == 2

    with_bench(use)


def test_cancelled_it_stops_the_process() -> None:
    async def use(bench: Bench, running: asyncio.Task[None]) -> None:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert bench.started[0].stopped == 1

    with_bench(use)
