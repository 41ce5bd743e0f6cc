"""A PNG file as the kitty graphics protocol shows it: base64, in escape sequences of limited length.

sw.kovidgoyal.net/kitty/graphics-protocol: `a=T` transmits and displays, `f=100` is PNG, `q=2` wants no
answer, `m=1` says that more follows.
"""

from __future__ import annotations

import base64

CHUNK_CHARS = 4096


def kitty_sequence(png: bytes) -> str:
    """What shows `png` at the cursor, which ends behind it."""
    text = base64.b64encode(png).decode("ascii")
    parts = [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]
    sequence = []
    for number, part in enumerate(parts):
        keys = "a=T,f=100,q=2," if number == 0 else ""
        sequence.append(f"\x1b_G{keys}m={int(number < len(parts) - 1)};{part}\x1b\\")
    return "".join(sequence)
