"""The full-size benchmark on a small checkpoint: it measures every step and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import full_size as bench
import pytest
from bundle_numpy import make_small_checkpoint

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "full_size.py"


def test_every_step_is_measured(tmp_path: Path) -> None:
    checkpoint, result = make_small_checkpoint(tmp_path / "checkpoint"), tmp_path / "result.json"
    arguments = ["--work", str(tmp_path / "work"), "--checkpoint", str(checkpoint), "--json", str(result)]
    run = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--", "--block-size", "32"],
        capture_output=True,
        text=True,
        check=True,
    )
    steps = {step["name"]: step for step in json.loads(result.read_text())}
    assert list(steps) == ["plain copy", "export", "plain dequantise", "site", "check"]
    for step in steps.values():
        assert step["input_bytes"] > 100_000
        assert 0 < step["cpu_seconds"] < 100
        assert step["memory_bytes"] > 10_000_000
    assert steps["plain copy"]["disk_bytes"] == steps["plain copy"]["input_bytes"]
    assert len(run.stdout.splitlines()[-6:]) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "result.json"]


def test_a_failed_step_is_told_and_cleaned_up(tmp_path: Path) -> None:
    checkpoint = make_small_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(RuntimeError, match="export failed with status 2"):
        bench.run(tmp_path / "work", checkpoint, None, ["--block-size", "17"])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_file_of_two_names_takes_its_place_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    os.link(tmp_path / "a", tmp_path / "b")
    assert bench.disk_bytes(tmp_path) == 1000
