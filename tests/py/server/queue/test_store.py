"""Results are kept for their time, number and bytes, and no longer."""

from __future__ import annotations

import pytest
from server.queue.fake_engine import job

from kleinbild.server.generate.session import Picture
from kleinbild.server.queue import store as store_module
from kleinbild.server.queue.store import Store
from kleinbild.server.queue.ticket import State, Ticket


class Clock:
    """A clock that tests wind."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ended(store: Store, size: int) -> Ticket:
    ticket = Ticket(job())
    store.add(ticket)
    ticket.begin()
    ticket.end(State.DONE, picture=Picture(bytes(size), {}))
    store.ended(ticket)
    return ticket


def test_time() -> None:
    clock = Clock()
    store = Store(10, 1000, clock)
    waiting = Ticket(job())
    store.add(waiting)
    first = ended(store, 5)
    clock.now += 6
    second = ended(store, 7)
    assert [store.find(t.id) for t in (first, second)] == [first, second]
    clock.now += 5
    assert [store.find(t.id) for t in (first, second, waiting)] == [None, second, waiting]
    assert (store.bytes, len(store)) == (7, 2)


def test_bytes_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(10, 100, Clock())
    first, second, third = (ended(store, 40) for _ in range(3))
    assert [store.find(t.id) for t in (first, second, third)] == [None, second, third]
    assert store.bytes == 80
    ended(store, 200)  # larger than all there is room for
    assert (store.bytes, len(store)) == (0, 0)
    monkeypatch.setattr(store_module, "MAX_RECORDS", 2)
    small = [ended(store, 0) for _ in range(3)]
    assert [store.find(t.id) for t in small] == [None, *small[1:]]


def test_forget_and_strangers() -> None:
    store = Store(10, 100, Clock())
    ticket = ended(store, 40)
    store.forget(ticket)
    store.forget(ticket)
    assert (store.bytes, store.find(ticket.id)) == (0, None)
    stranger = Ticket(job())
    stranger.end(State.CANCELLED)
    store.ended(stranger)
    assert (len(store), store.find(stranger.id)) == (0, None)
