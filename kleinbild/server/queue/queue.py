"""One engine, many who want pictures: first come first served, with a bound, and each answered exactly once.

The queue keeps the engine warm. When browser, page or GPU are lost it opens a new engine and makes the
picture that was in hand once more; a second loss fails it. What the engine's errors say stays on this machine
(`note`): a failure carries only sentences that are fit for strangers.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from kleinbild.errors import KleinbildError
from kleinbild.server.generate.engine import EngineLost
from kleinbild.server.generate.messages import MemoryMessage, ProgressMessage
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture
from kleinbild.server.queue.store import Store
from kleinbild.server.queue.ticket import Failure, State, Ticket

TRIES = 2
SWEEP_SECONDS = 15.0
MAX_PAUSE_SECONDS = 60.0
FIRST_GUESS_SECONDS = 5.0  # of a picture, while none has been made
RECENT = 0.2  # weight of the latest picture in the mean time

# Codes of the page that tell the client something about its own request; of others it learns no details.
PAGE_FAULTS = frozenset({"internal", "worker-lost"})
CLIENT_CODES = frozenset({"bad-input", "too-large", "out-of-memory"})
LOST = Failure("engine-lost", "The engine was lost twice while it made this picture.")
DOWN = Failure("engine-down", "The engine does not start; the server's own log says why.")
STOPPING = Failure("stopping", "The server is stopping and gives this picture back: ask again later.")
NO_PAGE = Failure(
    "no-page",
    "No page lends its GPU to this server: open the address that it printed in a browser, then ask again.",
)
BROKEN = Failure("internal", "The engine failed at this picture; the server's own log says why.")


class AnyEngine(Protocol):
    """What the queue needs of an engine (generate/engine.py)."""

    device: str

    @property
    def ended(self) -> asyncio.Future[Any]:
        """As Engine.ended."""
        ...

    @property
    def memory(self) -> MemoryMessage | None:
        """As Engine.memory."""
        ...

    async def make(
        self,
        job: Job,
        on_progress: OnProgress,
        *,
        on_preview: OnPreview | None = None,
        stop: asyncio.Event | None = None,
    ) -> Picture:
        """As Engine.make."""
        ...


OpenEngine = Callable[[OnProgress], AbstractAsyncContextManager[AnyEngine]]


@dataclass(frozen=True)
class QueueLimits:
    """max_waiting pictures beside the one in hand; results kept for keep_seconds in keep_bytes.

    page_seconds: the engine is a page that somebody opens, and a picture waits so long for one; None: it is
    a browser of ours.
    """

    max_waiting: int = 32
    keep_seconds: float = 600.0
    keep_bytes: int = 256 << 20
    page_seconds: float | None = None


class Refused(Exception):
    """No place in the queue now: `failure` says why; `retry_after` seconds are a fair guess."""

    def __init__(self, failure: Failure, retry_after: int) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after


class Queue:
    """Start it, submit, close it. `task` ends with the error of a first start that failed."""

    def __init__(
        self,
        open_engine: OpenEngine,
        limits: QueueLimits,
        note: Callable[[str], None],
        on_end: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        """`note` gets lines for this machine's user; `on_end` every ticket that ends."""
        self.store = Store(limits.keep_seconds, limits.keep_bytes)
        self.engine: AnyEngine | None = None
        self.starting: ProgressMessage | None = None  # how far an engine is that is no engine yet
        self.in_hand: Ticket | None = None
        self.restarts = 0
        self.task: asyncio.Task[None] | None = None
        self._open_engine = open_engine
        self._limits = limits
        self._note = note
        self._on_end = on_end
        self._waiting: deque[Ticket] = deque()
        self._news = asyncio.Event()
        self._closing = False
        self._down = False
        self._opened = 0
        self._losses = 0  # in a row, without a picture between
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def waiting(self) -> int:
        """Pictures that wait."""
        return len(self._waiting)

    @property
    def needs_page(self) -> bool:
        """Whether nothing is made until somebody opens a page."""
        return self.engine is None and self._limits.page_seconds is not None

    def position(self, ticket: Ticket) -> int | None:
        """How many are before `ticket`, the one in hand included; None when it does not wait."""
        if ticket not in self._waiting:
            return None
        return self._waiting.index(ticket) + (self.in_hand is not None)

    def start(self) -> None:
        """Open the engine and serve, in the background."""
        self.task = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Return when the queue has ended. Raises KleinbildError when it never had an engine."""
        if self.task is not None:
            await asyncio.wait({self.task})
            if not self.task.cancelled():
                self.task.result()

    def submit(self, jobs: Sequence[Job], *, keep: bool) -> list[Ticket]:
        """Tickets for `jobs`, all or none; `keep`: to be found in `store`. Raises Refused."""
        if self._closing:
            raise Refused(STOPPING, self._guess(len(jobs)))
        if self._down:
            raise Refused(DOWN, self._guess(1))
        beyond = len(self._waiting) + len(jobs) - self._limits.max_waiting
        if beyond > 0:
            sentence = f"{len(self._waiting)} pictures are waiting; at most {self._limits.max_waiting} may."
            raise Refused(Failure("queue-full", sentence), self._guess(beyond))
        tickets = [Ticket(job) for job in jobs]
        if keep:
            for ticket in tickets:
                self.store.add(ticket)
        self._waiting.extend(tickets)
        self._news.set()
        self._bound_wait(tickets)
        return tickets

    def abandon(self, ticket: Ticket) -> None:
        """Nobody wants `ticket` any more: it ends now, or as soon as the engine has stopped."""
        ticket.stop.set()
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._end(ticket, State.CANCELLED)

    async def cancel(self, ticket: Ticket) -> None:
        """End `ticket`, wherever it is; returns when it has ended, which the engine may have done before."""
        self.abandon(ticket)
        await ticket.over()

    async def close(self, grace_seconds: float) -> None:
        """Give back what waits, let the picture in hand end within `grace_seconds`, then end the engine."""
        self._closing = True
        self._give_back(STOPPING)
        in_hand = self.in_hand
        if in_hand is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(in_hand.over(), grace_seconds)
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self._give_back(STOPPING)
        if in_hand is not None and not in_hand.is_over:
            self._end(in_hand, State.FAILED, failure=STOPPING)

    async def _run(self) -> None:
        sweeper = asyncio.create_task(self._sweep())
        ever = False
        try:
            while True:
                try:
                    async with self._open_engine(self._on_start) as engine:
                        ever = True
                        self._down = False
                        self._opened += 1
                        self.engine, self.starting = engine, None
                        await self._serve(engine)
                except EngineLost as error:
                    next_one = "starting" if self._limits.page_seconds is None else "waiting for"
                    self._note(f"engine lost: {error}; {next_one} another one")
                except KleinbildError as error:
                    if not ever:
                        self._give_back(DOWN)
                        raise
                    self._note(f"the engine does not start: {error}")
                    self._down = True
                    self._give_back(DOWN)
                finally:
                    self.engine, self.starting = None, None
                self.restarts += 1
                self._losses += 1
                self._bound_wait(list(self._waiting))
                if self._losses > 1 and self._limits.page_seconds is None:
                    await asyncio.sleep(min(MAX_PAUSE_SECONDS, 2.0 ** (self._losses - 2)))
        finally:
            sweeper.cancel()

    async def _serve(self, engine: AnyEngine) -> None:
        """Make what waits, one after the other. Raises EngineLost."""
        while True:
            while not self._waiting:
                self._news.clear()
                news = asyncio.create_task(self._news.wait())
                try:
                    either: set[asyncio.Future[Any]] = {news, engine.ended}
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
                if engine.ended.done():
                    raise EngineLost(str(engine.ended.exception()))
            await self._make(engine, self._waiting.popleft())

    async def _make(self, engine: AnyEngine, ticket: Ticket) -> None:
        self.in_hand = ticket
        ticket.begin()
        began = asyncio.get_running_loop().time()
        try:
            picture = await engine.make(ticket.job, ticket.tell, on_preview=ticket.show, stop=ticket.stop)
        except EngineLost:
            self._try_again(ticket, LOST)
            raise
        except PageError as error:
            if error.code == "device-lost":
                self._try_again(ticket, LOST)
                raise EngineLost(str(error)) from error
            if error.code in PAGE_FAULTS:  # the page has thrown away what may be broken
                self._note(f"a picture failed: {error}")
                self._try_again(ticket, BROKEN)
            elif error.code == "cancelled":
                self._end(ticket, State.CANCELLED)
            elif error.code in CLIENT_CODES:
                self._end(ticket, State.FAILED, failure=Failure(error.code, error.reason))
            else:
                self._note(f"a picture failed: {error}")
                self._end(ticket, State.FAILED, failure=Failure(error.code, BROKEN.message))
        else:
            self._losses = 0
            took = asyncio.get_running_loop().time() - began
            self._mean_seconds += RECENT * (took - self._mean_seconds)
            # A cancel that came too late for the engine is still what the client asked for.
            if ticket.stop.is_set():
                self._end(ticket, State.CANCELLED)
            else:
                self._end(ticket, State.DONE, picture=picture)
        finally:
            self.in_hand = None

    def _try_again(self, ticket: Ticket, failure: Failure) -> None:
        if ticket.stop.is_set():
            self._end(ticket, State.CANCELLED)
        elif self._closing:
            self._end(ticket, State.FAILED, failure=STOPPING)
        elif ticket.attempts < TRIES:
            ticket.wait_again()
            self._waiting.appendleft(ticket)
        else:
            self._end(ticket, State.FAILED, failure=failure)

    def _bound_wait(self, tickets: Sequence[Ticket]) -> None:
        """While there is no page, give `tickets` back once they have waited long enough for one."""
        seconds, opened = self._limits.page_seconds, self._opened
        if seconds is None or self.engine is not None:
            return

        def give_up() -> None:
            if opened != self._opened:
                return
            for ticket in tickets:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                    self._end(ticket, State.FAILED, failure=NO_PAGE)

        asyncio.get_running_loop().call_later(seconds, give_up)

    def _give_back(self, failure: Failure) -> None:
        while self._waiting:
            self._end(self._waiting.popleft(), State.FAILED, failure=failure)

    def _end(
        self,
        ticket: Ticket,
        state: State,
        *,
        picture: Picture | None = None,
        failure: Failure | None = None,
    ) -> None:
        ticket.end(state, picture=picture, failure=failure)
        self.store.ended(ticket)
        self._on_end(ticket)

    def _on_start(self, progress: ProgressMessage) -> None:
        self.starting = progress

    def _guess(self, pictures: int) -> int:
        return max(1, math.ceil(pictures * self._mean_seconds))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.store.sweep()
