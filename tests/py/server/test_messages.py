"""The page's words are checked before anything is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from server.fake_site import png

from kleinbild.server.generate.messages import (
    ErrorMessage,
    InfoMessage,
    MemoryMessage,
    PreviewMessage,
    ProgressMessage,
    ProtocolError,
    ResultMessage,
    TraceMessage,
    check_png,
    parse_message,
)


def test_messages() -> None:
    progress = {"type": "progress", "stage": "text_encoder", "step": 1, "steps": 27, "fraction": 0.5}
    assert parse_message(json.dumps(progress)) == ProgressMessage("text_encoder", 1, 27, 0.5)
    trace = {"type": "trace", "name": "latents_0", "dtype": "float32", "shape": [16, 128]}
    assert parse_message(json.dumps(trace)) == TraceMessage("latents_0", "float32", (16, 128))
    preview = {"type": "preview", "job": 3, "step": 1, "width": 64, "height": 32}
    assert parse_message(json.dumps(preview)) == PreviewMessage(3, 1, 64, 32)
    result = {"type": "result", "job": 3, "width": 64, "height": 32, "seconds": {"transformer": 1}}
    assert parse_message(json.dumps(result)) == ResultMessage(3, 64, 32, {"transformer": 1.0})
    memory = {"type": "memory", "least": 1, "whole": 2**33, "budget": 3}
    assert parse_message(json.dumps(memory)) == MemoryMessage(1, 2**33, 3)
    failed = {"type": "error", "job": 3, "code": "cancelled", "message": "x"}
    assert parse_message(json.dumps(failed)) == ErrorMessage("cancelled", "x", 3)
    assert parse_message('{"type":"info","text":"a  GPU"}') == InfoMessage("a GPU")


def test_text_for_the_terminal_is_one_printable_line() -> None:
    raw = json.dumps({"type": "error", "code": "internal", "message": "a\nb\x1b[2Jc\u202ed"})
    assert parse_message(raw) == ErrorMessage("internal", "a b?[2Jc?d")


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"type": "quit"},
        {"type": "progress", "stage": "a b", "step": 0, "steps": 0, "fraction": 0},
        {"type": "progress", "stage": "a", "step": -1, "steps": 0, "fraction": 0},
        {"type": "progress", "stage": "a", "step": True, "steps": 0, "fraction": 0},
        {"type": "progress", "stage": "a", "step": 0, "steps": 0, "fraction": 1.5},
        {"type": "progress", "stage": "a", "step": 0, "steps": 0, "fraction": float("nan")},
        {"type": "progress", "stage": "a", "step": 0, "steps": 0, "fraction": "1"},
        {"type": "trace", "name": "../x", "dtype": "float32", "shape": [1]},
        {"type": "trace", "name": "x", "dtype": "float32", "shape": [1.5]},
        {"type": "trace", "name": "x", "dtype": "float32", "shape": 3},
        {"type": "preview", "job": 1, "step": 1, "width": 4096, "height": 32},
        {"type": "preview", "step": 1, "width": 64, "height": 32},
        {"type": "result", "job": 1, "width": "64", "height": 64, "seconds": {}},
        {"type": "result", "width": 64, "height": 64, "seconds": {}},
        {"type": "result", "job": 1, "width": 64, "height": 64},
        {"type": "result", "job": 1, "width": 64, "height": 64, "seconds": {"a b": 1}},
        {"type": "result", "job": 1, "width": 64, "height": 64, "seconds": {"a": -1}},
        {"type": "result", "job": 1, "width": 64, "height": 64, "seconds": {"a": float("nan")}},
        {"type": "error", "job": "1", "code": "internal", "message": "x"},
        {"type": "memory", "least": 1, "whole": 2**49, "budget": 3},
        {"type": "memory", "least": 1.5, "whole": 2, "budget": 3},
        {"type": "error", "code": "A B", "message": "x"},
        {"type": "error", "code": "internal"},
    ],
)
def test_other_messages_are_refused(record: Any) -> None:
    with pytest.raises(ProtocolError):
        parse_message(json.dumps(record))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, " " * (1 << 21)])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(text)


def test_png() -> None:
    good = png(32, 16)
    check_png(good, 32, 16)
    damaged = bytearray(good)
    damaged[-20] ^= 1
    for bad in (b"", good[:-1], good[:-12], good[:40], bytes(damaged), good + b"x", b"GIF" + good[3:]):
        with pytest.raises(ProtocolError):
            check_png(bad, 32, 16)
    with pytest.raises(ProtocolError, match="16x32"):
        check_png(good, 16, 32)
