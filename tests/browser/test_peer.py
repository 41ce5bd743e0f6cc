"""The peer benchmark runs: ONNX Runtime and our engine in one browser; each row has both times or why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PEER_SECONDS = 300


def run_peer(out: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The command on the tiny shapes; what it wrote with --json."""
    command = [sys.executable, str(ROOT / "tests/bench/peer.py"), "--quick", "--json", str(out), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PEER_SECONDS, check=False)
    assert out.is_file(), result.stderr
    return result, json.loads(out.read_text())


def test_both_engines_do_a_denoise_step(tmp_path: Path) -> None:
    result, report = run_peer(tmp_path / "peer.json", "--only", "step")
    assert result.returncode == 0, result.stdout
    assert [row["label"] for row in report["rows"]] == ["step 64x64", "step 64x64, ours b32"]
    for row in report["rows"]:
        assert row["ratio"] == row["own_ms"] / row["ort_ms"] > 0
        assert row["label"] in result.stdout
    assert any("onnxruntime-web 1." in note for note in report["engines"])
    assert report["float"] == "float32"


def test_each_job_that_fails_is_told_in_its_row(tmp_path: Path) -> None:
    result, report = run_peer(tmp_path / "peer.json", "--only", "fused", "--job-seconds", "0.001")
    assert result.returncode == 1
    assert len(report["rows"]) == 4
    for row in report["rows"]:
        assert "took longer than" in row["own_error"] and "took longer than" in row["ort_error"]
        assert row["ratio"] is None


def test_missing_files_of_onnx_runtime_are_named(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/bench/peer.py"), "--ort", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PEER_SECONDS, check=False)
    assert result.returncode == 1
    assert "ort.jspi.bundle.min.mjs: no such file" in result.stderr
