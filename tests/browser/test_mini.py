"""The model that comes with the project draws what it is asked for, all the way through a browser.

Pictures are judged by training/judge, which looks at pixels alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.judge import judge
from training.scenes.palette import lab_to_rgb
from training.scenes.scene import Background, Item, Scene

ROOT = Path(__file__).parents[2]
GENERATE_SECONDS = 600
WHITE, NO_SHADE = (1.0, 1.0, 1.0), lab_to_rgb(0.5, 0.0, 0.0)
TOLD = frozenset({"background", "place", "colour", "size", "relation"})


def item(shape: str, colour: str, x: float, y: float, size: str = "medium") -> Item:
    """What the judge is to find; its shade is no matter."""
    return Item(shape, colour, NO_SHADE, size, x, y, 0.15)


PICTURES = {
    "a red circle on a white background": Scene(
        "single",
        Background("plain", ("white",), (WHITE,)),
        (item("circle", "red", 0.5, 0.5),),
        told=TOLD - {"size"},
    ),
    "a blue square to the left of a yellow star on a black background": Scene(
        "pair",
        Background("plain", ("black",), (NO_SHADE,)),
        (item("square", "blue", 0.3, 0.5), item("star", "yellow", 0.7, 0.5)),
        relation="left of",
        told=TOLD - {"size", "place"},
    ),
}


@pytest.fixture(scope="module")
def mini_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dist/ as `make run` builds it."""
    dist = tmp_path_factory.mktemp("mini") / "dist"
    command = [sys.executable, str(ROOT / "build.py"), "site", "mini", "--out", str(dist)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    return dist


def test_pictures_show_what_their_prompts_say(mini_site: Path, tmp_path: Path) -> None:
    lines = [
        json.dumps({"prompt": prompt, "width": 128, "height": 128, "seed": 1, "steps": 4})
        for prompt in PICTURES
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    command = [sys.executable, str(ROOT / "serve.py"), "generate", "--site", str(mini_site), "--json"]
    command += ["--batch", str(tmp_path / "prompts.jsonl"), "--output-dir", str(tmp_path / "out")]
    made = subprocess.run(
        [*command, "--adapter", "software", "--no-server"],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=GENERATE_SECONDS,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    pictures = [
        np.asarray(Image.open(path).convert("RGB")) for path in sorted((tmp_path / "out").glob("*.png"))
    ]
    assert [picture.shape for picture in pictures] == [(128, 128, 3)] * len(PICTURES)
    for picture, (prompt, scene) in zip(pictures, PICTURES.items(), strict=True):
        assert judge(picture, scene).right, (prompt, judge(picture, scene))
    # The verdicts are about the pictures: each is wrong for the other's prompt.
    for picture, scene in zip(pictures, reversed(PICTURES.values()), strict=True):
        assert not judge(picture, scene).right
