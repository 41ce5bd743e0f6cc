"""Pictures for terminals: kitty's sequences and sixels read back, and what a terminal says of itself."""

from __future__ import annotations

import base64
import os
import pty
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from server.fake_site import png
from server.test_progress import Terminal

from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.session import Preview
from kleinbild.server.make import terminal
from kleinbild.server.make.kitty import CHUNK_CHARS, kitty_sequence
from kleinbild.server.make.report import Report
from kleinbild.server.make.sixel import sixel_sequence

RNG = np.random.default_rng(21)


@pytest.mark.parametrize("size", [1, 3 * CHUNK_CHARS // 4, 3 * CHUNK_CHARS // 4 + 1, 20_000])
def test_kitty_gets_the_file_in_pieces(size: int) -> None:
    data = RNG.bytes(size)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sequence := kitty_sequence(data))
    assert "".join(f"\x1b_G{keys};{text}\x1b\\" for keys, text in parts) == sequence
    assert base64.b64decode("".join(text for _, text in parts)) == data
    assert all(len(text) <= CHUNK_CHARS for _, text in parts)
    assert parts[0][0].startswith("a=T,f=100,q=2,m=")
    assert [keys[-3:] for keys, _ in parts] == ["m=1"] * (len(parts) - 1) + ["m=0"]


def read_sixels(sequence: str) -> np.ndarray:
    """What a terminal draws, [height, width, 3] in per cent; -1 where nothing is."""
    match = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert match
    width, height = int(match[1]), int(match[2])
    drawn = np.full((height + 5, width, 3), -1)
    colours: dict[int, tuple[int, ...]] = {}
    x = y = colour = 0
    token = r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)"
    assert re.fullmatch(f"(?:{token})*", match[3])
    for code, red, green, blue, chosen, count, repeated, single, back, down in re.findall(token, match[3]):
        if code:
            colours[int(code)] = (int(red), int(green), int(blue))
        elif chosen:
            colour = int(chosen)
        elif back:
            x = 0
        elif down:
            x, y = 0, y + 6
        else:
            bits = ord(repeated or single) - 63
            end = x + int(count or 1)
            for row in range(6):
                if bits >> row & 1:
                    drawn[y + row, x:end] = colours[colour]
            x = end
    assert (drawn[height:] == -1).all()
    return drawn[:height]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (9, 7), (16, 24)])
def test_sixels_draw_every_pixel_in_a_near_colour(width: int, height: int) -> None:
    pixels = RNG.integers(0, 256, (height, width, 3), np.uint8)
    drawn = read_sixels(sixel_sequence(pixels))
    assert (drawn >= 0).all()
    assert np.abs(drawn / 100 - pixels / 255).max() <= 1 / 5 + 0.01, "one level of red or blue"
    flat = read_sixels(sixel_sequence(np.full((32, 32, 3), 100, np.uint8)))
    assert np.abs(flat.mean(axis=(0, 1)) / 100 - 100 / 255).max() < 0.02, "dithered to the right mean"
    black_and_white = np.zeros((6, 2, 3), np.uint8)
    black_and_white[:, 1] = 255
    assert read_sixels(sixel_sequence(black_and_white))[:, :, 0].tolist() == [[0, 100]] * 6


def asked(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[terminal.Encode | None, bytes]:
    """What is found on a terminal that answers so, and what is left on it to be read."""
    monkeypatch.setattr(terminal, "ANSWER_SECONDS", 5.0 if answer else 0.05)
    master, slave = pty.openpty()
    questions: list[bytes] = []

    def respond() -> None:
        question = b""
        while not question.endswith(b"\x1b[c"):
            question += os.read(master, 100)
        questions.append(question)
        os.write(master, answer)

    thread = threading.Thread(target=respond)
    thread.start()
    try:
        found = terminal.find_encoder(Path(os.ttyname(slave)))
        thread.join()
        return found, questions[0]
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", terminal.kitty),
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4;c", terminal.kitty),
        (b"\x1b_Gi=31;ENOTSUPPORTED:x\x1b\\\x1b[?62;4;22c", terminal.sixels),
        (b"\x1b[?64;4c", terminal.sixels),
        (b"\x1b[?62;14;40c", None),
        (b"", None),
    ],
)
def test_the_terminal_says_what_it_shows(
    answer: bytes, found: terminal.Encode | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, question = asked(answer, monkeypatch)
    assert encode is found
    assert question.startswith(b"\x1b_Gi=31")


def test_without_a_terminal_nothing_is_shown(tmp_path: Path) -> None:
    assert terminal.find_encoder(tmp_path / "none") is None
    (tmp_path / "file").write_bytes(b"")
    assert terminal.find_encoder(tmp_path / "file") is None


def test_a_preview_stands_above_the_bar() -> None:
    preview = Preview(1, 4, 2, png(4, 2))
    for encode in (terminal.kitty, terminal.sixels, None):
        stream = Terminal()
        report = Report(Progress(stream), as_json=False, encode=encode)
        report.showing(preview)
        assert stream.getvalue() == (f"{encode(preview)}\n" if encode else "")
