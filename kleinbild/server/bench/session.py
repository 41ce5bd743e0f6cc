"""The conversation about a benchmark: hand out the options, take in progress, rows and the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from kleinbild.server.bench.result import MAX_FRAME_BYTES, MAX_ROWS, Progress, Result, Row, parse_frame
from kleinbild.server.generate.messages import ErrorMessage, ProtocolError
from kleinbild.server.generate.page_session import PageError, PageSession


class BenchSession(PageSession[Result]):
    """One benchmark and its one connection."""

    def __init__(self, origin: str, job: dict[str, Any], on_progress: Callable[[Progress], None]) -> None:
        super().__init__(origin, "the benchmark", MAX_FRAME_BYTES)
        self._job = job
        self._on_progress = on_progress
        self.rows: list[Row] = []  # as they come, for a benchmark that does not get to its end

    async def _converse(self, socket: web.WebSocketResponse) -> Result:
        await socket.send_json(self._job)
        while True:
            match parse_frame(await self._receive_text(socket)):
                case Progress() as progress:
                    self._on_progress(progress)
                case Row() as row:
                    if len(self.rows) == MAX_ROWS:
                        raise ProtocolError("too many rows came")
                    self.rows.append(row)
                case ErrorMessage(code, message):
                    raise PageError(code, message)
                case Result() as result:
                    return result
