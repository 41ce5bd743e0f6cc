"""The accuracy benchmark runs: the page and the numpy reference compute the same from made-up weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 300


@pytest.mark.parametrize("storage", [("--block-size", "32"), ("--block-size", "16", "--zero-points")])
def test_small_model_agrees_with_the_reference_in_f32(tmp_path: Path, storage: tuple[str, ...]) -> None:
    out = tmp_path / "accuracy.json"
    command = [sys.executable, str(ROOT / "tests/bench/accuracy.py"), "--model", "small", "--side", "64"]
    arguments = ("--adapter", "software", *storage, "--json", str(out))
    result = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(out.read_text())
    assert report["precision"] == "f32" and report["changed"] == []
    errors = {line["name"].split(": ")[-1]: line["error"] for line in report["lines"]}
    assert {line["kind"] for line in report["lines"]} == {
        "linear",
        "attention",
        "double block",
        "single block",
        "boundary",
    }
    assert {"prompt_embeds", "latents_0", "latents_1", "decoded"} <= errors.keys()
    assert all(0 < error < 1e-5 for error in errors.values()), errors
