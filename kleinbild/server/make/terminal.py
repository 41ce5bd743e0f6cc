"""Which pictures the terminal shows, as it says itself: a question of each kind, and one that every terminal
answers, so that none is waited for in vain.
"""

from __future__ import annotations

import os
import re
import select
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path

from kleinbild.server.generate.session import Preview
from kleinbild.server.make.kitty import kitty_sequence
from kleinbild.server.make.pixels import read_pixels
from kleinbild.server.make.sixel import sixel_sequence

ANSWER_SECONDS = 0.5
MAX_ANSWER_BYTES = 4096
# Would it take a picture of one pixel? And what is it at all (primary device attributes; 4 of them: sixels)?
_QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
_KITTY = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
_ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")

Encode = Callable[[Preview], str]


def kitty(preview: Preview) -> str:
    """`preview` for terminals with kitty's protocol."""
    return kitty_sequence(preview.png)


def sixels(preview: Preview) -> str:
    """`preview` for terminals with sixels. Raises KleinbildError when its file is damaged."""
    return sixel_sequence(read_pixels(preview.png))


def find_encoder(terminal: Path = Path("/dev/tty")) -> Encode | None:
    """How the terminal of this process shows pictures; None when it shows none, or there is none."""
    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        answer = _ask(descriptor)
    except (OSError, termios.error):
        return None
    finally:
        os.close(descriptor)
    if _KITTY.search(answer):
        return kitty
    attributes = _ATTRIBUTES.search(answer)
    return sixels if attributes and b"4" in attributes[1].split(b";") else None


def _ask(descriptor: int) -> bytes:
    """What the terminal answers to _QUESTION, unseen by the user."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSAFLUSH)
        os.write(descriptor, _QUESTION)
        answer = b""
        end = time.monotonic() + ANSWER_SECONDS
        while not _ATTRIBUTES.search(answer) and len(answer) < MAX_ANSWER_BYTES:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                break
            answer += os.read(descriptor, MAX_ANSWER_BYTES)
        return answer
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
