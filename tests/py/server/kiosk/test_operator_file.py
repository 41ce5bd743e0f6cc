"""The operator file: what a good one gives, and that a hostile one is refused, with file and field named."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from kleinbild.server.kiosk.fields import EX_CONFIG, OperatorFileError
from kleinbild.server.kiosk.operator_file import (
    MAX_FILE_BYTES,
    Card,
    Operator,
    TakeHome,
    parse_operator_file,
    read_operator_file,
)
from kleinbild.server.kiosk.pin import PinHash

CARD = {"title": "Fox", "prompt": "a red fox"}
FULL: dict[str, Any] = {
    "schema": 1,
    "pin": "271828",
    "languages": ["de", "en"],
    "idle_seconds": 60,
    "countdown_seconds": 10,
    "refused_words": ["Blut", "straße"],
    "cards": [
        {"title": {"de": "Fuchs", "en": "Fox"}, "prompt": "a red fox", "size": "512x768", "seed": 2**64 - 1},
        {"title": "Leuchtturm", "prompt": "a lighthouse", "seed": "random"},
    ],
    "own_prompts": False,
    "sizes": ["512x512", "768x512"],
    "steps": 4,
    "memory_gb": 5.5,
    "attract": "recent",
    "keep_pictures": "kept",
    "take_home": {"address": "192.168.1.20", "port": 8090, "minutes": 10, "downloads": 3, "qr": False},
}


def parse(record: object, tmp_path: Path) -> Operator:
    return parse_operator_file(json.dumps(record).encode(), tmp_path / "operator.json")


def test_a_full_file(tmp_path: Path) -> None:
    found = parse(FULL, tmp_path)
    assert found.pin is not None
    assert found.pin.fits("271828")
    assert found.languages == ("de", "en")
    assert (found.idle_seconds, found.countdown_seconds, found.steps, found.memory_gb) == (60, 10, 4, 5.5)
    assert found.refused_words == ("Blut", "straße")
    assert found.cards == (
        Card({"de": "Fuchs", "en": "Fox"}, "a red fox", "512x768", 2**64 - 1),
        Card({"": "Leuchtturm"}, "a lighthouse", None, None),
    )
    assert (found.own_prompts, found.sizes) == (False, ("512x512", "768x512"))
    assert found.attract == found.keep_pictures == tmp_path / "kept"
    assert found.take_home == TakeHome(ip_address("192.168.1.20"), 8090, 600, 3, False)


def test_an_empty_file_is_a_kiosk_without_a_way_out(tmp_path: Path) -> None:
    found = parse({}, tmp_path)
    assert (found.pin, found.take_home, found.attract, found.keep_pictures) == (None, None, None, None)
    assert (found.languages, found.own_prompts, found.sizes) == (("en", "de", "ar"), True, ("512x512",))
    (tmp_path / "shown").mkdir()
    assert parse({"attract": "shown"}, tmp_path).attract == tmp_path / "shown"
    hashed = str(PinHash.of("141421"))
    pin = parse({"pin_hash": hashed}, tmp_path).pin
    assert pin is not None
    assert str(pin) == hashed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 2}, "schema must be 1"),
        ({"idle_second": 30}, "unknown field 'idle_second'"),
        ({"x" * 5000: 1}, "unknown field 'x"),
        ({"pin": "1234"}, "pin must be a text of 6 to 12 digits"),
        ({"pin": 271828}, "pin must be a text"),
        ({"pin": "２７１８２８"}, "pin must be a text of 6 to 12 digits"),
        ({"pin": "271828", "pin_hash": "x"}, "exclude each other"),
        ({"pin_hash": "md5:1:2"}, "pin_hash is no hash"),
        ({"pin_hash": str(PinHash.of("141421")).replace("16384", "9999999")}, "pin_hash is no hash"),
        ({"languages": []}, "languages must be one or more"),
        ({"languages": ["en", "en"]}, "languages must be one or more"),
        ({"languages": ["fr"]}, "languages must be one or more"),
        ({"languages": "en"}, "languages must be a list"),
        ({"idle_seconds": True}, "idle_seconds must be a whole number from 5 to 3600"),
        ({"idle_seconds": 4}, "idle_seconds must be a whole number"),
        ({"idle_seconds": 60.5}, "idle_seconds must be a whole number"),
        ({"countdown_seconds": 10**400}, "countdown_seconds must be a whole number"),
        ({"refused_words": ["a"] * 2001}, "refused_words must be a list of at most 2000"),
        ({"refused_words": [" "]}, r"refused_words\[0\] must be a text"),
        ({"refused_words": ["\ud800"]}, "characters that are no text"),
        ({"refused_words": [["a"]]}, r"refused_words\[0\] must be a text"),
        ({"cards": {}}, "cards must be a list"),
        ({"cards": [CARD] * 25}, "cards must be a list of at most 24"),
        ({"cards": [{"title": "Fox"}]}, r"cards\[0\]: prompt must be a text"),
        ({"cards": [{**CARD, "onclick": "x"}]}, r"cards\[0\]: unknown field 'onclick'"),
        ({"cards": [{**CARD, "title": {"en": "Fox"}}]}, "one for each of en, de, ar"),
        ({"cards": [{**CARD, "size": "513x512"}]}, "'513x512' is no size"),
        ({"cards": [{**CARD, "seed": -1}]}, 'seed must be "random" or a whole number'),
        ({"cards": [{**CARD, "seed": 2**64}]}, "seed must be"),
        ({"cards": [{**CARD, "prompt": "a" * 2001}]}, "prompt must be a text of 1 to 2000"),
        ({"own_prompts": False}, "without own_prompts there must be cards"),
        ({"own_prompts": "no"}, "own_prompts must be true or false"),
        ({"sizes": []}, "sizes must name at least one"),
        ({"sizes": ["4096x4096"]}, "'4096x4096' is no size"),
        ({"sizes": ["512x512\n"]}, "sizes"),
        ({"sizes": ["٥١٢x٥١٢"]}, "is no size"),
        ({"steps": 0}, "steps must be a whole number from 1 to 100"),
        ({"memory_gb": float("nan")}, "memory_gb must be a number"),
        ({"memory_gb": "4"}, "memory_gb must be a number"),
        ({"attract": "recent"}, "needs keep_pictures"),
        ({"attract": "nowhere"}, "is no folder"),
        ({"attract": "a\u0000b"}, "characters that are no text"),
        ({"keep_pictures": 1}, "keep_pictures must be a text"),
        ({"take_home": True}, "take_home must be an object"),
        ({"take_home": {}}, "take_home: address must be a text"),
        ({"take_home": {"address": "0.0.0.0"}}, "not everywhere or public"),
        ({"take_home": {"address": "::"}}, "not everywhere or public"),
        ({"take_home": {"address": "8.8.8.8"}}, "not everywhere or public"),
        ({"take_home": {"address": "kiosk.local"}}, "must be this machine's address"),
        ({"take_home": {"address": "fe80::1%eth0"}}, "has a zone"),
        ({"take_home": {"address": "10.0.0.1", "port": 65536}}, "port must be a whole number"),
        ({"take_home": {"address": "10.0.0.1", "minutes": 0}}, "minutes must be a whole number"),
        ({"take_home": {"address": "10.0.0.1", "qr": 1}}, "qr must be true or false"),
    ],
)
def test_hostile_fields(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorFileError, match=told) as caught:
        parse(change, tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "operator.json"))
    assert "\n" not in message
    assert len(message) < 400
    assert caught.value.exit_status == EX_CONFIG


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"steps": 1', "line 1, column"),
        (b'{"steps": 1, "steps": 2}', "stands there twice"),
        (b'{"refused_words": ["\xff"]}', "not UTF-8"),
        (b"[" * 100_000, "no valid JSON"),
        (b'{"steps": ' + b"1" * 5000 + b"}", "no valid JSON"),
    ],
)
def test_hostile_bytes(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorFileError, match=told):
        parse_operator_file(data, tmp_path / "operator.json")


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "operator.json"
    with pytest.raises(OperatorFileError, match="cannot be read"):
        read_operator_file(path)
    with pytest.raises(OperatorFileError, match="cannot be read"):
        read_operator_file(tmp_path)
    path.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(OperatorFileError, match="larger than"):
        read_operator_file(path)
    path.write_bytes(b"{}")
    assert read_operator_file(path) == b"{}"
