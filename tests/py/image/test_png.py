"""The page's PNG files against Pillow: what the page writes Pillow reads, and the other way round.

The page's writer and reader run in node, over random pictures and texts.
"""

from __future__ import annotations

import base64
import io
import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

import kleinbild

ROOT = Path(__file__).parents[3]
CLI = ROOT / "tests/js/support/png_cli.js"
ALPHABET = [*'abc ,:\n\t"\\<&', "\u00e9", "\u6771", "\U0001f600", "\u0645", "\u202e"]
COUNT = 60


def page(mode: str, asked: list[Any]) -> list[Any]:
    """What png_cli.js answers."""
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    result = subprocess.run(
        ["node", CLI, mode], input=lines.encode(), stdout=subprocess.PIPE, check=True, timeout=120
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def words(source: random.Random, alphabet: list[str], most: int) -> str:
    return "".join(source.choice(alphabet) for _ in range(source.randrange(most)))


def decoded(data: str) -> PngImageFile:
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert isinstance(image, PngImageFile)
    image.load()
    return image


def test_pillow_reads_what_the_page_writes() -> None:
    source = random.Random(1)
    asked: list[dict[str, Any]] = []
    for _ in range(COUNT):
        width, height = source.randrange(1, 60), source.randrange(1, 60)
        levels = source.choice([1, 4, 256])
        rgba = bytes(source.randrange(levels) for _ in range(width * height * 4))
        text = {"parameters": words(source, ALPHABET, 40), "Latin": words(source, ALPHABET[:11], 40)}
        record = {"schema": 1, "prompt": words(source, ALPHABET, 40), "seed": str(source.getrandbits(64))}
        picture = {"width": width, "height": height, "text": text, "json": {"kleinbild": record}}
        asked.append({**picture, "rgba": base64.b64encode(rgba).decode()})
    for one, data in zip(asked, page("write", asked), strict=True):
        image = decoded(data)
        assert (image.size, image.mode) == ((one["width"], one["height"]), "RGB")
        expected = base64.b64decode(one["rgba"])
        assert image.tobytes() == bytes(byte for i, byte in enumerate(expected) if i % 4 != 3)
        texts = dict(image.text)
        assert json.loads(texts.pop("kleinbild")) == one["json"]["kleinbild"]
        assert texts == one["text"]


def test_the_page_reads_what_pillow_writes() -> None:
    source = random.Random(2)
    asked, expected = [], []
    for _ in range(COUNT):
        width, height = source.randrange(1, 60), source.randrange(1, 60)
        mode = source.choice(["RGB", "RGBA", "L", "1", "P", "LA", "I;16"])
        texts = {f"key {i}": words(source, ALPHABET, 40) for i in range(source.randrange(4))}
        prompt = words(source, ALPHABET, 40).strip()
        texts["parameters"] = f"{prompt}\nSteps: 3, Seed: 7, Size: {width}x{height}"
        info = PngInfo()
        for key, text in texts.items():
            if source.random() < 0.5:
                info.add_itxt(key, text, zip=source.random() < 0.5)
            else:
                info.add_text(key, text, zip=source.random() < 0.5)
        file = io.BytesIO()
        Image.new(mode, (width, height)).save(file, "PNG", pnginfo=info)
        asked.append({"png": base64.b64encode(file.getvalue()).decode(), "keywords": list(texts)})
        told = {"prompt": prompt, "width": f"{width}", "height": f"{height}", "seed": "7", "steps": "3"}
        expected.append({"width": width, "height": height, "texts": texts, "text": {**told, "model": ""}})
    assert page("read", asked) == expected


def test_the_page_tells_the_packagers_version() -> None:
    text = (ROOT / "src_js/version.js").read_text(encoding="utf-8")
    assert re.findall(r'export const VERSION = "(.+)";', text) == [kleinbild.__version__]
