"""Pictures from a running API server, over its native face.

What it says is checked like anything that comes over a socket: sizes, types, and the picture itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from kleinbild.errors import KleinbildError
from kleinbild.server.generate import messages
from kleinbild.server.generate.messages import ProtocolError
from kleinbild.server.generate.page_session import PageError
from kleinbild.server.generate.request import Job
from kleinbild.server.generate.session import OnPreview, OnProgress, Picture, Preview
from kleinbild.server.site import Site

CONNECT_SECONDS = 2.0
SILENT_SECONDS = 60.0  # its event streams say something every fifteen
MAX_JSON_BYTES = 1 << 20
MAX_LINE_BYTES = 4 << 20
MAX_PAUSE_SECONDS = 60
MAX_PAUSES = 1000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = re.compile(r"[a-z][a-z-]{0,39}")


class Remote:
    """A maker: the server at `url`."""

    name = "server"

    def __init__(self, url: str, session: aiohttp.ClientSession, note: Callable[[str], None]) -> None:
        self._url = url
        self._session = session
        self._note = note

    async def serves(self, site: Site) -> bool | None:
        """Whether the server serves `site`'s build and model; None when none with an engine answers."""
        try:
            status, record = await self._ask("GET", "/healthz")
        except (KleinbildError, ProtocolError):
            return None
        if status != 200 or record.get("api") is not True or record.get("status") == "no-page":
            return None
        return (record.get("build"), record.get("models")) == (site.build, [site.model_id])

    async def make(self, job: Job, on_progress: OnProgress, on_preview: OnPreview | None = None) -> Picture:
        """The picture. Raises PageError when the server made none of it, KleinbildError when it is gone.

        Cancelled, it cancels the job.
        """
        try:
            path = await self._create(job)
            try:
                record = await self._watch(path, on_progress, on_preview)
                return await self._picture(path, job, record)
            finally:
                # Ended, its result is in our hands; not ended, nobody wants it any more.
                with suppress(KleinbildError, ProtocolError):
                    await asyncio.shield(self._ask("DELETE", path))
        except ProtocolError as error:
            raise KleinbildError(f"{self._url}: does not answer as our API does ({error})") from None

    async def _create(self, job: Job) -> str:
        names = ("prompt", "width", "height", "seed", "steps", "preview")
        body = {name: getattr(job, name) for name in names}
        for _ in range(MAX_PAUSES):
            status, record = await self._ask("POST", "/jobs", body)
            if status == 202:
                return f"/jobs/{_matching(record, 'id', _ID)}"
            if status != 429:
                raise self._failure(record)
            self._note("waiting: the server's queue is full")
            await asyncio.sleep(min(MAX_PAUSE_SECONDS, max(1, record.get("_retry", 1))))
        raise KleinbildError(f"{self._url}: its queue stays full")

    async def _watch(
        self, path: str, on_progress: OnProgress, on_preview: OnPreview | None
    ) -> dict[str, Any]:
        """The job's last record."""
        async with self._request("GET", f"{path}/events", None) as answer:
            if answer.status != 200:
                raise ProtocolError(f"status {answer.status} for {path}/events")
            while line := await answer.content.readline():
                if line.startswith(b"data: "):
                    record = _json(line.removeprefix(b"data: "))
                    if record.get("finished") is not None:
                        return record
                    if record.get("progress") is not None:
                        said = json.dumps({"type": "progress"} | _object(record["progress"]))
                        message = messages.parse_message(said)
                        assert isinstance(message, messages.ProgressMessage)
                        on_progress(message)
                    if record.get("preview") is not None and on_preview is not None:
                        on_preview(_preview(_object(record["preview"])))
        raise KleinbildError(f"{self._url}: went away before the picture was done")

    async def _picture(self, path: str, job: Job, record: dict[str, Any]) -> Picture:
        if record.get("state") != "done":
            raise self._failure(record)
        async with self._request("GET", f"{path}/picture", None) as answer:
            png = await _read(answer, messages.MAX_BINARY_BYTES)
        if answer.status != 200:
            raise self._failure(_json(png))
        messages.check_png(png, job.width, job.height)
        seconds = record.get("seconds")
        said = json.dumps({"type": "result", "job": 0, "width": 0, "height": 0, "seconds": seconds})
        told = messages.parse_message(said)
        assert isinstance(told, messages.ResultMessage)
        return Picture(png, told.seconds)

    def _failure(self, record: dict[str, Any]) -> Exception:
        error = record.get("error")
        if error is None:
            return KleinbildError(f"{self._url}: the picture was cancelled there")
        said = json.dumps(
            {"type": "error", "code": _matching(_object(error), "code", _CODE), **_object(error)}
        )
        told = messages.parse_message(said)
        assert isinstance(told, messages.ErrorMessage)
        if told.code in ("stopping", "no-key", "engine-down", "no-page"):
            return KleinbildError(f"{self._url}: {told.message}")
        return PageError(told.code, told.message)

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Status and record; "_retry" in it are the seconds of a Retry-After."""
        async with self._request(method, path, body) as answer:
            record = _json(await _read(answer, MAX_JSON_BYTES))
            retry = answer.headers.get("Retry-After", "")
            return answer.status, record | {"_retry": int(retry[:6]) if retry.isdigit() else 1}

    @asynccontextmanager
    async def _request(self, method: str, path: str, body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(
                method, self._url + path, json=body, allow_redirects=False
            ) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise KleinbildError(f"{self._url}: cannot be reached ({type(error).__name__})") from None


@asynccontextmanager
async def remote_maker(url: str, key: str | None, note: Callable[[str], None]) -> AsyncIterator[Remote]:
    """A Remote at `url`, with `key` if the server wants one."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # A line of an event stream may hold a preview.
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, read_bufsize=MAX_LINE_BYTES
    ) as session:
        yield Remote(url, session, note)


def _preview(record: dict[str, Any]) -> Preview:
    """The preview of a job's record. Raises ProtocolError."""
    told = messages.parse_message(json.dumps({"job": 0} | record | {"type": "preview"}))
    assert isinstance(told, messages.PreviewMessage)
    try:
        png = base64.b64decode(str(record.get("png")), validate=True)
    except ValueError:
        raise ProtocolError("a preview is no base64") from None
    messages.check_png(png, told.width, told.height)
    return Preview(told.step, told.width, told.height, png)


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > limit:
            raise ProtocolError(f"an answer of more than {limit} bytes")
    return bytes(data)


def _json(data: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(data))
    except (ValueError, RecursionError):
        raise ProtocolError("an answer is no JSON") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError("an answer is no JSON object")
    return value


def _matching(record: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ProtocolError(f"{key} is {str(value)[:40]!r}")
    return value
