"""build.py with a source of the hub, as people run it: the whole way, and without the hub's library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub.fake_hub import TOKEN, FakeHub, folder_files, serving
from huggingface_hub import constants

from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.package.cli import main
from kleinbild.package.report import size_text

PROJECT = Path(__file__).resolve().parents[3]
SOURCE = "hf:kleinbild/tiny@v1"
NEEDLESS = {"README.md": b"card", "tiny.safetensors": bytes(9999), "vae/model.onnx": b"x"}


def build(hub: FakeHub, cache: Path, *arguments: object) -> tuple[str, str]:
    """What build.py prints on stdout and stderr, as verbose as the library can be made; it must end well."""
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(cache.parent / "home"),
        "HF_HUB_CACHE": str(cache),
        "HF_TOKEN": TOKEN,
        "HF_DEBUG": "1",
        "HF_HUB_VERBOSITY": "debug",
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", PROJECT / "build.py", *map(str, arguments)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert TOKEN not in run.stdout + run.stderr
    assert "secret-of-the-address" not in run.stdout + run.stderr
    return run.stdout, run.stderr


def test_a_site_from_the_hub_is_the_one_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, cache = tmp_path / "tiny", tmp_path / "cache"
    write_tiny_checkpoint(checkpoint)
    index = checkpoint / "model_index.json"
    index.write_text(index.read_text().replace('"name": "Tiny",', ""))  # the name has to come from the source
    hub = FakeHub()
    files = {path: data for path, data in folder_files(checkpoint).items() if path != "README.md"}
    commit = hub.add("kleinbild/tiny", files | NEEDLESS, branch="v1")
    hub.breaks["text_encoder/model.safetensors"] = [100_000]
    with serving(hub):
        output, errors = build(hub, cache, "site", SOURCE, "--out", tmp_path / "from_hub")
        assert sorted(set(hub.downloads())) == sorted(files)
        assert "bytes=100000-" in {r.range for r in hub.requests}
    line = next(line for line in output.splitlines() if line.startswith("hf:"))
    assert line.startswith(f"{SOURCE} at {commit[:12]}, licence apache-2.0: {len(files)} files, ")
    assert line.endswith(" MB to download")
    assert errors.startswith("fetching  ")
    assert main(["site", str(checkpoint), "--out", str(tmp_path / "from_folder")]) == 0
    assert folder_files(tmp_path / "from_hub") == folder_files(tmp_path / "from_folder")

    # the server is gone
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    capsys.readouterr()
    assert main(["check", SOURCE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cannot be reached (ConnectError)" in lines[0]
    assert lines[1].endswith(", 0 bytes to download")
    assert lines[2].endswith(f": checkpoint, {size_text(sum(map(len, files.values())))}")
    assert lines[3] == "model tiny"
    assert lines[-1] == "whole"


def test_export_from_the_hub(served: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_checkpoint(tmp_path / "tiny")
    served.add("kleinbild/tiny", folder_files(tmp_path / "tiny"))
    for name, source in [("a", "hf:kleinbild/tiny"), ("b", str(tmp_path / "tiny"))]:
        assert main(["export", source, "--out", str(tmp_path / name), "--weights", "f16"]) == 0
    bundle = folder_files(tmp_path / "a")
    assert bundle == folder_files(tmp_path / "b")
    # and the bundle, once it is on the hub, is whole there
    served.add("kleinbild/tiny-bundle", bundle)
    capsys.readouterr()
    assert main(["check", "hf:kleinbild/tiny-bundle"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "whole"
    assert main(["export", "hf:kleinbild/tiny-bundle", "--out", str(tmp_path / "c")]) == 1
    assert "not a checkpoint" in capsys.readouterr().err


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["check", SOURCE]) == 1
    assert capsys.readouterr().err == (
        f"error: {SOURCE}: models of the hub need its library: pip install 'kleinbild[hub]', "
        "or fetch the model yourself and give its folder\n"
    )


def test_an_interrupt_leaves_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(source: str, announce: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kleinbild.package.locate.fetch", interrupt)
    assert main(["site", SOURCE]) == 130
    assert capsys.readouterr().err == "interrupted\n"
