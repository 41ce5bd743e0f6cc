"""build.py stopped on the way: its one line, its exit status, and that the next run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_numpy import make_small_checkpoint

from kleinbild.bundle import Bundle
from kleinbild.export import text_encoder, transformer
from kleinbild.package import site
from kleinbild.package.cli import main

PROJECT = Path(__file__).resolve().parents[2]

# The program as it is, but for a transformer that takes a minute. A test run in the background hands on that
# SIGINT is ignored, so it is set as a terminal has it.
SLOW = """
import signal, sys, time
from kleinbild.export import transformer
from kleinbild.package.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)

def slow(*_):
    print("slow", flush=True)
    time.sleep(60)

transformer.build_transformer = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_checkpoint(tmp_path_factory.mktemp("source") / "checkpoint")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_an_export_with_one_line(
    checkpoint: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "bundle"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "export", checkpoint, "--out", out],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        while run.stdout.readline() != "slow\n":
            assert run.poll() is None
        run.send_signal(number)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == status
    (line,) = errors.splitlines()
    assert line.startswith(f"interrupted; {out}.part keeps what is finished")
    assert not out.exists()
    left = {path.name for path in (tmp_path / "bundle.part").iterdir()}
    assert any(name.startswith("text-encoder") for name in left)
    assert not any(name.startswith("transformer") for name in left)
    assert main(["export", str(checkpoint), "--out", str(out)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_site_goes_on_with_the_stages_that_were_exported(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dist"
    with monkeypatch.context() as patch:
        patch.setattr(transformer, "build_transformer", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"interrupted; {out}.part keeps")
    with monkeypatch.context() as patch:
        patch.setattr(text_encoder, "build_text_encoder", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]
    assert main(["check", str(out)]) == 0


def test_a_site_goes_on_with_the_stages_and_shards_that_are_left(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packaging frees the export's stages one by one, so the text encoder has to be exported again."""
    out, expected, part = tmp_path / "dist", tmp_path / "expected", tmp_path / "dist.part"
    assert main(["site", str(checkpoint), "--out", str(expected)]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(site, "write_shell", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 130
    kept = {path.name: path.stat().st_ino for path in (part / ".kept" / "w").iterdir()}
    assert not list((part / ".work" / "bundle-1").glob("text-encoder*.onnx_data"))
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "tensor", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 130
        patch.setattr(text_encoder, "build_text_encoder", interrupted)
        patch.setattr(transformer, "build_transformer", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 130
    with monkeypatch.context() as patch:
        patch.setattr(text_encoder, "build_text_encoder", interrupted)
        patch.setattr(transformer, "build_transformer", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 0
    assert {path.name: path.stat().st_ino for path in (out / "w").iterdir()} == kept
    assert contents(out) == contents(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "expected"]


def test_a_bundle_of_the_users_is_not_freed(checkpoint: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert main(["export", str(checkpoint), "--out", str(bundle)]) == 0
    before = contents(bundle)
    assert not any(name.startswith(".") for name in before)
    assert main(["site", str(bundle), "--out", str(tmp_path / "dist")]) == 0
    assert contents(bundle) == before


def test_another_export_is_made_anew(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "dist"
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "tensor", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out)]) == 130
        patch.setattr(transformer, "build_transformer", interrupted)
        assert main(["site", str(checkpoint), "--out", str(out), "--weights", "f16"]) == 130
    assert main(["site", str(checkpoint), "--out", str(out), "--weights", "f16"]) == 0


def test_an_interrupt_of_anything_else_is_one_line(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kleinbild.package.cli.check", interrupted)
    assert main(["check", str(checkpoint)]) == 130
    assert capsys.readouterr().err == "interrupted\n"
