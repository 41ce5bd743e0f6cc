"""Tickets by their id: all that are on their way, and those that ended, for a set time, number and bytes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from kleinbild.server.queue.ticket import Ticket

MAX_RECORDS = 2000  # of ended tickets; one without a picture is small, but not nothing


class Store:
    """Ended tickets go after `keep_seconds`, and before that the oldest first when there are too many."""

    def __init__(
        self, keep_seconds: float, keep_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._clock = clock
        self._open: dict[str, Ticket] = {}
        self._ended: OrderedDict[str, tuple[float, Ticket]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._ended)

    def add(self, ticket: Ticket) -> None:
        """A ticket on its way."""
        self._open[ticket.id] = ticket

    def ended(self, ticket: Ticket) -> None:
        """`ticket` has ended: from now on its time runs. One that was never added stays unknown."""
        if self._open.pop(ticket.id, None) is None:
            return
        self._ended[ticket.id] = (self._clock(), ticket)
        self.bytes += _size(ticket)
        self.sweep()

    def find(self, ticket_id: str) -> Ticket | None:
        """The ticket, unless it is unknown, or was, and its time is over."""
        self.sweep()
        if ticket_id in self._open:
            return self._open[ticket_id]
        entry = self._ended.get(ticket_id)
        return entry[1] if entry else None

    def forget(self, ticket: Ticket) -> None:
        """Remove an ended ticket now."""
        if self._ended.pop(ticket.id, None):
            self.bytes -= _size(ticket)

    def sweep(self) -> None:
        """Remove what is too old or too much."""
        limit = self._clock() - self._keep_seconds
        while self._ended:
            ended_at, ticket = next(iter(self._ended.values()))
            if ended_at > limit and self.bytes <= self._keep_bytes and len(self._ended) <= MAX_RECORDS:
                return
            self.forget(ticket)


def _size(ticket: Ticket) -> int:
    return len(ticket.picture.png) if ticket.picture else 0
