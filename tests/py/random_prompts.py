"""Deterministic strings that are hard on a tokenizer, for comparing the page's tokenizer with the reference."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

SCRIPTS = (
    *((0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x2FF), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58A), (0x590, 0x5F4)),
    *((0x600, 0x6FF), (0x700, 0x74F), (0x860, 0x8FF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xC00, 0xCFF)),
    *((0xE00, 0xE7F), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x139F)),
    *((0x1680, 0x169F), (0x1780, 0x17FF), (0x1AB0, 0x1AFF), (0x1D00, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x20CF)),
    *((0x2100, 0x218F), (0x2460, 0x24FF), (0x2500, 0x27BF), (0x2C00, 0x2DFF), (0x2E80, 0x2FDF), (0x3000, 0x312F)),
    *((0x4E00, 0x9FFF), (0xA720, 0xA7FF), (0xAC00, 0xD7FB), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFFFD)),
    *((0x10000, 0x100FA), (0x10D00, 0x10FFF), (0x11000, 0x11A9F), (0x16100, 0x16139), (0x1D100, 0x1D7FF)),
    *((0x1E000, 0x1E6FF), (0x1F000, 0x1FAFF), (0x20000, 0x2A6DF), (0xE0000, 0xE007F)),
)
BASES = "aeounAEOUNscz\u0915\u05d0\u0627\u30ab\u1100\u1161\u0391\u0418\u212b\u2126\ufb1d\U0001d157"
SPACES = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u200a\u200b\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
APOSTROPHES = "'''\u2019\u02bc\uff07`"
NUMBERS = "0123456789\u0660\u0966\u00bd\u00b2\u2160\u2167\u3007\u4e8c\u3220\U0001d7d8\U00010107\u0bf0"
EMOJI = (
    *("\U0001f600", "\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd"),
    *("\U0001f3f4\U000e0067\U000e0062\U000e007f", "1\ufe0f\u20e3", "\u200d", "\ufe0f", "\U0001f9d1\u200d\U0001f680"),
)
WORDS = (
    *("A", "cat", " photo", " of the", "highly-detailed", "8k", "3/4", "f/1.8", "don", "they", "sky", " im", "_x"),
    *("(masterpiece:1.2)", "https://example.org/a?b=c", "<b>", "</b>", "{}", "--ar 16:9", "...", " ,", '"q"', "##"),
    *("Stra\u00dfe", "na\u00efve", "na\u0131\u0308ve", "\u6771\u4eac", "\u041c\u043e\u0441\u043a\u0432\u0430"),
)
CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d", "S", "T", "RE", "rE", "Ve", "M", "lL", "D", "\u017f", "l", "r")
MARKS = (
    *((0x300, 0x36F), (0x483, 0x487), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F), (0x7EB, 0x7FD)),
    *((0x897, 0x8FF), (0x93C, 0x94D), (0xE38, 0xE4B), (0xF71, 0xF84), (0x1161, 0x1175), (0x11A7, 0x11C2)),
    *((0x1AB0, 0x1ADD), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0x3099, 0x309A), (0x113B8, 0x113D0)),
    *((0x16120, 0x1612F), (0x1D165, 0x1D172), (0x1E4EC, 0x1E4EF)),
)


def random_prompts(seed: int, count: int, added: Sequence[str]) -> list[str]:
    """`count` strings of one to twelve fragments; `added` are the added tokens to type into them, whole or nearly."""
    random_ = random.Random(seed)
    fragments = _fragments(random_, added)
    return ["".join(random_.choice(fragments)() for _ in range(random_.randint(1, 12))) for _ in range(count)]


def _fragments(r: random.Random, added: Sequence[str]) -> list[Callable[[], str]]:
    def from_(ranges: Sequence[tuple[int, int]]) -> str:
        return chr(r.randint(*r.choice(ranges)))

    def script() -> str:
        low, high = r.choice(SCRIPTS)
        return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 8)))

    def anything() -> str:
        point = r.randrange(0x110000 - 0x800)
        return chr(point if point < 0xD800 else point + 0x800)

    def marked() -> str:
        return r.choice(BASES) + "".join(from_(MARKS) for _ in range(r.randint(0, 4)))

    def spaces() -> str:
        return "".join(r.choice(SPACES + "  \n\r") for _ in range(r.randint(1, 7)))

    def near_miss() -> str:
        token = r.choice(added)
        at = r.randrange(len(token))
        kind = r.randrange(5)
        if kind == 0:
            return token[:at]
        if kind == 1:
            return token[:at] + r.choice(SPACES + "<|>x\u0301") + token[at:]
        return (token[at:], token.upper(), token[:at] + token)[kind - 2]

    def run() -> str:
        return r.choice(["a", "x", " ", "\n", "\r\n", "1", "-", "=", "!", "\u3000", "\u4e00", "'s", "ha", "\u0301"]) * (
            r.choice([2, 3, 5, 16, 17, 63, 100])
        )

    def control() -> str:
        return chr(r.choice([*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200E, 0x202E, 0xFFF9, 0xFFFE, 0xFFFF]))

    def contraction() -> str:
        return r.choice(["", "I", "don", " ", "1"]) + r.choice(APOSTROPHES) + r.choice(CONTRACTIONS)

    def number() -> str:
        return "".join(r.choice(NUMBERS) for _ in range(r.randint(1, 5)))

    return [
        *(script, script, anything, marked, marked, spaces, spaces, near_miss, run, control, contraction, number),
        lambda: r.choice(EMOJI),
        lambda: r.choice(WORDS),
        lambda: " " + r.choice(WORDS),
        lambda: r.choice(added),
    ]
