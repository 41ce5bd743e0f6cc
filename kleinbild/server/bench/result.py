"""What the benchmark page may say, checked before it is printed or written.

The page is our own code, but its words come from a browser, a driver and a shader compiler: sizes and types
are bounded here, and what goes to a terminal is one printable line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kleinbild.server.generate.messages import ErrorMessage, ProtocolError, parse_message

SCHEMA = 1
KIND = "kleinbild-bench"
MAX_FRAME_BYTES = 4 << 20
MAX_ROWS = 2000
MAX_TEXT_CHARS = 500
GROUPS = ("peak", "kernel", "stage", "picture", "start", "memory", "page")


@dataclass(frozen=True)
class Row:
    """One measurement; None and "" stand for what was not measured. Units as in src_js/bench_protocol.js."""

    group: str
    name: str
    seconds: float | None
    flops: float | None
    bytes: float | None
    tflops: float | None
    gigabytes_per_second: float | None
    percent: float | None
    detail: str
    error: str


@dataclass(frozen=True)
class Result:
    """A benchmark: `record` is the whole of it as JSON, the other fields are what the table shows."""

    record: dict[str, Any]
    machine: str
    precision: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Progress:
    """`label` is being measured, `done` of `total` measurements are over."""

    done: int
    total: int
    label: str


def parse_frame(text: str) -> Progress | Row | Result | ErrorMessage:
    """The message in a text frame. Raises ProtocolError."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text frame is no JSON") from None
    if not isinstance(record, dict):
        raise ProtocolError("a text frame is no JSON object")
    match record.get("type"):
        case "progress":
            return Progress(_count(record, "done"), _count(record, "total"), _text(record, "label"))
        case "row":
            (row,) = _rows([record.get("row")])
            return row
        case "result":
            return _result(record.get("result"))
        case "error":
            message = parse_message(text)
            assert isinstance(message, ErrorMessage)
            return message
        case other:
            raise ProtocolError(f"unknown message type {str(other)[:40]!r}")


def _result(record: object) -> Result:
    if not isinstance(record, dict) or record.get("kind") != KIND or record.get("schema") != SCHEMA:
        raise ProtocolError(f"the result is no {KIND} of schema {SCHEMA}")
    rows = record.get("rows")
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise ProtocolError("the result has no rows, or too many")
    machine = record.get("machine")
    adapter = machine.get("adapter") if isinstance(machine, dict) else None
    if not isinstance(machine, dict) or not isinstance(adapter, dict):
        raise ProtocolError("the result names no machine")
    words = [_text(adapter, key) for key in ("vendor", "architecture", "description")]
    name = " ".join(filter(None, words)) or "unnamed GPU"
    return Result(
        record=record,
        machine=", ".join(filter(None, (name, _text(machine, "browser")))),
        precision=_text(record, "precision"),
        rows=tuple(_rows(rows)),
    )


def _rows(records: Iterable[object]) -> Iterable[Row]:
    for record in records:
        if not isinstance(record, dict) or record.get("group") not in GROUPS:
            raise ProtocolError("a row is of no known group")
        yield Row(
            group=record["group"],
            name=_text(record, "name"),
            seconds=_number(record, "seconds"),
            flops=_number(record, "flops"),
            bytes=_number(record, "bytes"),
            tflops=_number(record, "tflops"),
            gigabytes_per_second=_number(record, "gigabytesPerSecond"),
            percent=_number(record, "percent"),
            detail=_text(record, "detail", ""),
            error=_text(record, "error", ""),
        )


def _count(record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if type(value) is not int or not 0 <= value <= MAX_ROWS:
        raise ProtocolError(f"{key} is {str(value)[:40]!r}")
    return value


def _number(record: dict[str, Any], key: str) -> float | None:
    value: Any = record.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ProtocolError(f"{key} is {str(value)[:40]!r}")
    return float(value)


def _text(record: dict[str, Any], key: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str):
        raise ProtocolError(f"{key} is no text")
    words = " ".join(value[:MAX_TEXT_CHARS].split())
    return "".join(c if c.isprintable() else "?" for c in words)
