"""What the page may say on the WebSocket, checked field by field before anything is believed.

The counterpart is src_js/app/headless.js. The page is our own code, but its text passes through a browser
that runs downloaded data: sizes, types and names are bounded here.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Any

MAX_JSON_CHARS = 1 << 20
MAX_MESSAGE_CHARS = 2000
MAX_STAGES = 20
MAX_GPU_BYTES = 1 << 48
MAX_PREVIEW_SIDE = 2048
MAX_BINARY_BYTES = 64 << 20  # decoded f32 [3, 2048, 2048] is 48 MiB
_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_CODE = re.compile(r"[a-z][a-z-]{0,39}")
_TENSOR = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class ProtocolError(Exception):
    """The page said something that headless.js never says."""


@dataclass(frozen=True)
class ProgressMessage:
    """How far the page is; fraction is of the whole phase."""

    stage: str
    step: int
    steps: int
    fraction: float


@dataclass(frozen=True)
class InfoMessage:
    """The GPU and the precision the page runs with, in words."""

    text: str


@dataclass(frozen=True)
class TraceMessage:
    """Announces a tensor; the next binary frame holds it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PreviewMessage:
    """Announces what the picture of `job` looks like after `step` steps; the next binary frame is a PNG."""

    job: int
    step: int
    width: int
    height: int


@dataclass(frozen=True)
class ResultMessage:
    """Announces the picture of `job`; the next binary frame is its PNG. seconds: of each stage."""

    job: int
    width: int
    height: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class ErrorMessage:
    """The page could not do `job`; None: it cannot go on at all."""

    code: str
    message: str
    job: int | None = None


@dataclass(frozen=True)
class MemoryMessage:
    """GPU memory in bytes for the last new kind of picture: at least, with all parts kept, and the budget."""

    least: int
    whole: int
    budget: int


Message = (
    MemoryMessage
    | ProgressMessage
    | InfoMessage
    | TraceMessage
    | PreviewMessage
    | ResultMessage
    | ErrorMessage
)


def parse_message(text: str) -> Message:
    """The message in a text frame. Raises ProtocolError."""
    if len(text) > MAX_JSON_CHARS:
        raise ProtocolError("a text frame is too long")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text frame is no JSON") from None
    if not isinstance(record, dict):
        raise ProtocolError("a text frame is no JSON object")
    job = _of_job(record)
    return _of_no_job(record) if job is None else job


def _of_no_job(record: dict[str, Any]) -> Message:
    match record.get("type"):
        case "progress":
            return ProgressMessage(
                _word(record, "stage", _STAGE),
                _integer(record, "step"),
                _integer(record, "steps"),
                _fraction(record),
            )
        case "info":
            return InfoMessage(_line(record, "text"))
        case "memory":
            return MemoryMessage(_bytes(record, "least"), _bytes(record, "whole"), _bytes(record, "budget"))
        case other:
            raise ProtocolError(f"unknown message type {str(other)[:40]!r}")


def _of_job(record: dict[str, Any]) -> TraceMessage | PreviewMessage | ResultMessage | ErrorMessage | None:
    """What may belong to a picture; None when it is another message."""
    match record.get("type"):
        case "trace":
            shape = record.get("shape")
            if not isinstance(shape, list) or len(shape) > 4 or any(type(n) is not int for n in shape):
                raise ProtocolError("a tensor has no shape")
            return TraceMessage(_word(record, "name", _TENSOR), str(record.get("dtype")), tuple(shape))
        case "preview":
            return PreviewMessage(
                _integer(record, "job"),
                _integer(record, "step"),
                _integer(record, "width", MAX_PREVIEW_SIDE),
                _integer(record, "height", MAX_PREVIEW_SIDE),
            )
        case "result":
            return ResultMessage(
                _integer(record, "job"),
                _integer(record, "width"),
                _integer(record, "height"),
                _seconds(record),
            )
        case "error":
            job = _integer(record, "job") if record.get("job") is not None else None
            return ErrorMessage(_word(record, "code", _CODE), _line(record, "message"), job)
    return None


def check_png(data: bytes, width: int, height: int) -> None:
    """Raise ProtocolError unless `data` is one whole PNG file of `width` x `height` 8-bit RGB."""
    if not data.startswith(_PNG_SIGNATURE):
        raise ProtocolError("the picture is no PNG")
    kinds: list[bytes] = []
    at = len(_PNG_SIGNATURE)
    while at < len(data):
        if len(data) - at < 12:
            raise ProtocolError("the PNG is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if (
            end > len(data)
            or zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]
        ):
            raise ProtocolError("a chunk of the PNG is damaged")
        if not kinds and (kind, data[at + 8 : at + 18]) != (
            b"IHDR",
            struct.pack(">IIBB", width, height, 8, 2),
        ):
            raise ProtocolError(f"the PNG is no {width}x{height} RGB picture")
        kinds.append(kind)
        at = end
    if b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise ProtocolError("the PNG is cut off")


def _word(record: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ProtocolError(f"{key} is {str(value)[:40]!r}")
    return value


def _bytes(record: dict[str, Any], key: str) -> int:
    return _integer(record, key, MAX_GPU_BYTES)


def _integer(record: dict[str, Any], key: str, most: int = 1 << 20) -> int:
    value = record.get(key)
    if type(value) is not int or not 0 <= value <= most:
        raise ProtocolError(f"{key} is {str(value)[:40]!r}")
    return value


def _fraction(record: dict[str, Any]) -> float:
    value: Any = record.get("fraction")
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ProtocolError(f"fraction is {str(value)[:40]!r}")
    return float(value)


def _seconds(record: dict[str, Any]) -> dict[str, float]:
    value: Any = record.get("seconds")
    if not isinstance(value, dict) or len(value) > MAX_STAGES:
        raise ProtocolError("a picture has no stage times")
    for stage, seconds in value.items():
        if not _STAGE.fullmatch(stage) or type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise ProtocolError(f"a stage time is {stage[:40]!r}: {str(seconds)[:40]!r}")
    return {stage: float(seconds) for stage, seconds in value.items()}


def _line(record: dict[str, Any], key: str) -> str:
    """A sentence of the page as one printable line (it goes to a terminal)."""
    value = record.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f"{key} is no text")
    words = " ".join(value[:MAX_MESSAGE_CHARS].split())
    return "".join(c if c.isprintable() else "?" for c in words)
