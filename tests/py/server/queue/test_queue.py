"""The queue on a fake engine: order, bound, cancel, loss, retry, closing; each ticket ends exactly once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from server.queue.fake_engine import HALFWAY, FakeEngines, job

from kleinbild.errors import KleinbildError
from kleinbild.server.queue import queue as queue_module
from kleinbild.server.queue.queue import Queue, QueueLimits, Refused
from kleinbild.server.queue.ticket import State, Ticket


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "MAX_PAUSE_SECONDS", 0.005)


@dataclass
class Bench:
    """A started queue and what it said."""

    queue: Queue
    engines: FakeEngines
    notes: list[str] = field(default_factory=list)
    ended: list[Ticket] = field(default_factory=list)

    def ask(self, *prompts: str, keep: bool = True) -> list[Ticket]:
        return self.queue.submit([job(prompt) for prompt in prompts], keep=keep)

    async def begun(self, ticket: Ticket) -> None:
        """Return when `ticket` is in hand and the engine has told something."""
        seen = -1
        while ticket.state is not State.RUNNING or ticket.progress is None:
            seen = await ticket.changed(seen)


@asynccontextmanager
async def started(limits: QueueLimits, engines: FakeEngines) -> AsyncIterator[Bench]:
    notes: list[str] = []
    ended: list[Ticket] = []
    queue = Queue(engines.open, limits, notes.append, ended.append)
    queue.start()
    try:
        yield Bench(queue, engines, notes, ended)
    finally:
        await queue.close(0)
        assert engines.open_now == 0


def on_a_queue(
    test: Callable[[Bench], Awaitable[None]],
    *,
    max_waiting: int = 8,
    prepare: Callable[[FakeEngines], None] = lambda _: None,
) -> None:
    async def run() -> None:
        engines = FakeEngines()
        prepare(engines)
        async with started(QueueLimits(max_waiting=max_waiting), engines) as bench:
            await test(bench)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_first_come_first_served_by_one_warm_engine() -> None:
    async def test(bench: Bench) -> None:
        tickets = [*bench.ask("a", "b"), *bench.ask("c")]
        assert [bench.queue.position(t) for t in tickets] == [0, 1, 2]
        for ticket in tickets:
            await ticket.over()
        assert bench.engines.made == ["a", "b", "c"]
        assert bench.engines.opened == 1
        assert all(t.state is State.DONE and t.picture and t.progress == HALFWAY for t in tickets)
        assert [bench.queue.store.find(t.id) for t in tickets] == tickets
        assert bench.queue.engine is not None

    on_a_queue(test)


def test_the_bound_is_for_all_or_none_and_says_when_to_come_again() -> None:
    async def test(bench: Bench) -> None:
        (first,) = bench.ask("hold")
        await bench.begun(first)
        bench.ask("a", "b")
        with pytest.raises(Refused, match="2 pictures are waiting; at most 3") as refused:
            bench.ask("c", "d")
        assert refused.value.failure.code == "queue-full"
        assert refused.value.retry_after >= 1
        bench.ask("e")
        assert bench.queue.waiting == 3

    on_a_queue(test, max_waiting=3)


def test_the_wait_is_guessed_from_the_pictures_before() -> None:
    async def test(bench: Bench) -> None:
        (hold,) = bench.ask("hold")
        await bench.begun(hold)
        with pytest.raises(Refused) as guess:
            bench.ask("a", "b", "c")
        assert guess.value.retry_after == 10  # two too many, five seconds each while nothing is known
        bench.engines.release.set()
        for _ in range(30):
            (ticket,) = bench.ask("quick")
            await ticket.over()
        bench.engines.release.clear()
        await bench.begun(bench.ask("hold")[0])
        with pytest.raises(Refused) as guess:
            bench.ask("a", "b", "c")
        assert guess.value.retry_after == 1

    on_a_queue(test, max_waiting=1)


def test_cancel_waiting_running_and_ended() -> None:
    async def test(bench: Bench) -> None:
        hold, waiting, last = bench.ask("hold", "a", "b")
        await bench.begun(hold)
        await bench.queue.cancel(waiting)
        assert waiting.state is State.CANCELLED
        assert bench.queue.position(last) == 1
        await bench.queue.cancel(hold)
        assert hold.state is State.CANCELLED
        assert hold.picture is None
        await last.over()
        await bench.queue.cancel(last)
        assert last.state is State.DONE
        assert bench.engines.made == ["hold", "b"]
        assert bench.engines.opened == 1
        assert bench.ended == [waiting, hold, last]

    on_a_queue(test)


def test_a_lost_engine_is_replaced_and_the_picture_made_again_before_the_others() -> None:
    async def test(bench: Bench) -> None:
        hold, after = bench.ask("hold", "after")
        await bench.begun(hold)
        assert bench.engines.engine is not None
        bench.engines.engine.lost.set()
        bench.engines.release.set()
        await after.over()
        assert (hold.state, hold.attempts) == (State.DONE, 2)
        assert bench.engines.made == ["hold", "hold", "after"]
        assert (bench.engines.opened, bench.queue.restarts) == (2, 1)
        assert "status -9" in bench.notes[0]

    on_a_queue(test)


@pytest.mark.parametrize(("prompt", "code"), [("lose", "engine-lost"), ("device-lost", "engine-lost")])
def test_the_second_loss_fails_the_picture_without_a_word_of_this_machine(prompt: str, code: str) -> None:
    async def test(bench: Bench) -> None:
        bad, good = bench.ask(prompt, "good")
        await good.over()
        assert bad.state is State.FAILED
        assert bad.failure is not None
        assert bad.failure.code == code
        assert "/home" not in bad.failure.message
        assert good.state is State.DONE
        assert bench.engines.made == [prompt, prompt, "good"]
        assert bench.queue.restarts == 2

    on_a_queue(test)


def test_an_engine_lost_while_idle_is_replaced_at_once() -> None:
    async def test(bench: Bench) -> None:
        (first,) = bench.ask("a")
        await first.over()
        assert bench.engines.engine is not None
        bench.engines.engine.lost.set()
        while bench.engines.opened < 2:
            await asyncio.sleep(0.001)
        (second,) = bench.ask("b")
        await second.over()
        assert second.attempts == 1

    on_a_queue(test)


def test_errors_of_the_page() -> None:
    async def test(bench: Bench) -> None:
        large, full, internal, fallen, good = bench.ask(
            "too-large", "storage-full", "internal", "worker-lost", "good"
        )
        await good.over()
        assert large.failure is not None
        assert (large.failure.code, large.failure.message) == ("too-large", "in words")
        assert full.failure is not None
        assert full.failure.code == "storage-full"
        assert "in words" not in full.failure.message
        assert (internal.attempts, full.attempts, fallen.attempts) == (2, 1, 2)
        assert bench.engines.opened == 1

    on_a_queue(test)


def test_a_cancel_wins_over_a_retry() -> None:
    async def test(bench: Bench) -> None:
        (hold,) = bench.ask("hold")
        await bench.begun(hold)
        assert bench.engines.engine is not None
        bench.engines.engine.lost.set()
        await bench.queue.cancel(hold)
        assert hold.state is State.CANCELLED
        assert bench.engines.made == ["hold"]

    on_a_queue(test)


def test_a_first_start_that_fails_ends_the_queue_with_its_error() -> None:
    async def test(bench: Bench) -> None:
        (waiting,) = bench.ask("a")
        assert bench.queue.task is not None
        await asyncio.wait({bench.queue.task})
        with pytest.raises(KleinbildError, match="no GPU"):
            bench.queue.task.result()
        assert waiting.failure is not None
        assert waiting.failure.code == "engine-down"

    on_a_queue(test, prepare=lambda engines: engines.faults.append(KleinbildError("no GPU")))


def test_a_later_start_that_fails_is_tried_again() -> None:
    async def test(bench: Bench) -> None:
        (first,) = bench.ask("a")
        await first.over()
        bench.engines.faults += [KleinbildError("no GPU"), KleinbildError("no GPU")]
        assert bench.engines.engine is not None
        (waiting,) = bench.ask("lose")
        await waiting.over()
        assert waiting.failure is not None
        assert waiting.failure.code == "engine-down"
        with pytest.raises(Refused, match="does not start"):
            bench.ask("b")
        while bench.queue.engine is None:
            await asyncio.sleep(0.001)
        (last,) = bench.ask("c")
        await last.over()
        assert last.state is State.DONE

    on_a_queue(test)


def test_closing_lets_the_picture_in_hand_end_and_gives_the_others_back() -> None:
    async def test(bench: Bench) -> None:
        hold, waiting = bench.ask("hold", "a")
        await bench.begun(hold)
        closing = asyncio.create_task(bench.queue.close(5))
        await waiting.over()
        assert waiting.failure is not None
        assert waiting.failure.code == "stopping"
        with pytest.raises(Refused, match="stopping"):
            bench.ask("b")
        bench.engines.release.set()
        await closing
        assert hold.state is State.DONE

    on_a_queue(test)


def test_closing_gives_back_what_takes_too_long_or_loses_the_engine() -> None:
    async def test(bench: Bench) -> None:
        (hold,) = bench.ask("hold")
        await bench.begun(hold)
        await bench.queue.close(0.01)
        assert hold.failure is not None
        assert hold.failure.code == "stopping"

    on_a_queue(test)

    async def lost(bench: Bench) -> None:
        (hold,) = bench.ask("hold")
        await bench.begun(hold)
        closing = asyncio.create_task(bench.queue.close(5))
        await asyncio.sleep(0)
        assert bench.engines.engine is not None
        bench.engines.engine.lost.set()
        await closing
        assert hold.failure is not None
        assert hold.failure.code == "stopping"

    on_a_queue(lost)


def test_what_is_not_to_be_kept_is_never_found() -> None:
    async def test(bench: Bench) -> None:
        (ticket,) = bench.ask("a", keep=False)
        assert bench.queue.store.find(ticket.id) is None
        await ticket.over()
        assert bench.queue.store.find(ticket.id) is None
        assert ticket.picture is not None

    on_a_queue(test)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_ended_twice_in_a_crowd(seed: int) -> None:
    """Two hundred askers with prompts, cancels and losses as dice say: as many ends as tickets, each once."""
    dice = random.Random(seed)

    async def ask(bench: Bench, prompts: list[str], patience: float, tickets: list[Ticket]) -> None:
        await asyncio.sleep(dice.random() * 0.05)
        while True:
            try:
                mine = bench.ask(*prompts)
                break
            except Refused:
                await asyncio.sleep(0.002)
        tickets += mine
        for ticket in mine:
            try:
                await asyncio.wait_for(ticket.over(), patience)
            except TimeoutError:
                await bench.queue.cancel(ticket)

    async def test(bench: Bench) -> None:
        words = ["x", "x", "x", "x", "hold", "lose", "device-lost", "internal", "too-large"]
        tickets: list[Ticket] = []
        crowd = [
            ask(bench, dice.choices(words, k=dice.randint(1, 3)), dice.choice([0.0, 0.01, 0.5]), tickets)
            for _ in range(200)
        ]
        tickets_ended_by = asyncio.create_task(_release_now_and_then(bench))
        await asyncio.gather(*crowd)
        tickets_ended_by.cancel()
        assert len(tickets) >= 200
        assert sorted(t.id for t in bench.ended) == sorted(t.id for t in tickets)
        for ticket in tickets:
            assert (ticket.picture is not None) == (ticket.state is State.DONE)
            assert (ticket.failure is not None) == (ticket.state is State.FAILED)
        assert (bench.queue.waiting, bench.queue.in_hand) == (0, None)

    on_a_queue(test, max_waiting=6)


async def _release_now_and_then(bench: Bench) -> None:
    while True:
        await asyncio.sleep(0.004)
        bench.engines.release.set()
        await asyncio.sleep(0)
        bench.engines.release.clear()
