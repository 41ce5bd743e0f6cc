"""Deterministic strings that are hard on a tokenizer, to compare the page's with the reference."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Ranges = Sequence[tuple[int, int]]


def _ranges(text: str) -> Ranges:
    """The inclusive ranges of code points in `text`, such as "20-7E A0-24F"."""
    pairs = (pair.split("-") for pair in text.split())
    return [(int(low, 16), int(high, 16)) for low, high in pairs]


def _parts(text: str) -> list[str]:
    return text.split("|")


SCRIPTS = _ranges(
    "20-7E A0-24F 250-2FF 370-3FF 400-52F 531-58A 590-5F4 600-6FF 700-74F 860-8FF 900-97F 980-9FF "
    "B80-BFF C00-CFF E00-E7F F00-FFF 1000-109F 10A0-10FF 1100-11FF 1200-139F 1680-169F 1780-17FF "
    "1AB0-1AFF 1D00-1DFF 1E00-1FFF 2000-20CF 2100-218F 2460-24FF 2500-27BF 2C00-2DFF 2E80-2FDF "
    "3000-312F 4E00-9FFF A720-A7FF AC00-D7FB F900-FAFF FB00-FDFF FE00-FFFD 10000-100FA 10D00-10FFF "
    "11000-11A9F 16100-16139 1D100-1D7FF 1E000-1E6FF 1F000-1FAFF 20000-2A6DF E0000-E007F"
)
BASES = "aeounAEOUNscz\u0915\u05d0\u0627\u30ab\u1100\u1161\u0391\u0418\u212b\u2126\ufb1d\U0001d157"
SPACES = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u200a\u200b\u200d"
    "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
APOSTROPHES = "'''\u2019\u02bc\uff07`"
NUMBERS = "0123456789\u0660\u0966\u00bd\u00b2\u2160\u2167\u3007\u4e8c\u3220\U0001d7d8\U00010107\u0bf0"
EMOJI = _parts(
    "\U0001f600|\u2764\ufe0f|\U0001f469\u200d\U0001f4bb|\U0001f1e9\U0001f1ea|\U0001f44d\U0001f3fd|1\ufe0f\u20e3"
    "|\U0001f3f4\U000e0067\U000e0062\U000e007f|\u200d|\ufe0f|\U0001f9d1\u200d\U0001f680"
)
WORDS = _parts(
    "A|cat| photo| of the|highly-detailed|8k|3/4|f/1.8|don|they|sky| im|_x|(masterpiece:1.2)|--ar 16:9|...| ,"
    '|"q"|##|https://example.org/a?b=c|<b>|</b>|Stra\u00dfe|na\u00efve|na\u0131\u0308ve|\u6771\u4eac|\u041c\u043e\u0441'
)
CONTRACTIONS = _parts("s|t|re|ve|m|ll|d|S|T|RE|rE|Ve|M|lL|D|\u017f|l|r")
RUNS = _parts("a|x| |\n|\r\n|1|-|=|!|\u3000|\u4e00|'s|ha|\u0301")
MARKS = _ranges(
    "300-36F 483-487 591-5C7 610-61A 64B-65F 7EB-7FD 897-8FF 93C-94D E38-E4B F71-F84 1161-1175 "
    "11A7-11C2 1AB0-1ADD 1DC0-1DFF 20D0-20F0 3099-309A 113B8-113D0 16120-1612F 1D165-1D172 1E4EC-1E4EF"
)


def random_prompts(seed: int, count: int, added: Sequence[str]) -> list[str]:
    """`count` strings of one to twelve fragments, with `added` tokens typed into them, whole or nearly."""
    random_ = random.Random(seed)
    fragments = _fragments(random_, added)
    return ["".join(random_.choice(fragments)() for _ in range(random_.randint(1, 12))) for _ in range(count)]


def _fragments(r: random.Random, added: Sequence[str]) -> list[Callable[[], str]]:
    def from_(ranges: Ranges) -> str:
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
        return r.choice(RUNS) * r.choice([2, 3, 5, 16, 17, 63, 100])

    def control() -> str:
        return chr(r.choice([*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200E, 0x202E, 0xFFF9, 0xFFFE, 0xFFFF]))

    def contraction() -> str:
        before, after = r.choice(["", "I", "don", " ", "1"]), r.choice(["", "x", "e", "LE", "\u017f", " "])
        return before + r.choice(APOSTROPHES) + r.choice(CONTRACTIONS) + after

    def number() -> str:
        return "".join(r.choice(NUMBERS) for _ in range(r.randint(1, 5)))

    often = [script, marked, spaces]
    return [
        *often,
        *often,
        anything,
        near_miss,
        run,
        control,
        contraction,
        number,
        lambda: r.choice(EMOJI),
        lambda: r.choice(WORDS),
        lambda: " " + r.choice(WORDS),
        lambda: r.choice(added),
    ]
