"""build.py export: its options, what it prints, and the sources it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from original_factory import write_original

from kleinbild.bundle import Bundle
from kleinbild.checkpoint.tiny import write_tiny_checkpoint
from kleinbild.package.cli import main
from kleinbild.weights import Q4


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    write_tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def original(checkpoint: Path) -> Path:
    """The same with the original key names."""
    return write_original(checkpoint, checkpoint.parent / "original")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_single_file_gives_the_same_bundle_as_the_diffusers_folder(
    checkpoint: Path, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = []
    for i, source in enumerate((checkpoint, original, original / "klein.safetensors")):
        assert main(["export", str(source), "--out", str(tmp_path / str(i))]) == 0
        bundle = files(tmp_path / str(i))
        config = json.loads(bundle.pop("flux2-config.json"))
        assert config["model_name"] == config["kleinbild"].pop("name") == ("Tiny", "original", "klein")[i]
        del config["model_name"], config["kleinbild"]["notice"]
        bundles.append((bundle, config))
        printed = capsys.readouterr().out
        assert ("as published" in printed) == (source != checkpoint)
    assert bundles[0] == bundles[1] == bundles[2]


def test_check_tells_what_was_taken_as_published(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (original, original / "klein.safetensors"):
        assert main(["check", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{path}: checkpoint, ")
        assert "0 bytes" not in lines[0]
        assert any("axes_dims_rope" in line and "as published" in line for line in lines)
        assert lines[-1] == "whole"
    assert main(["check", str(original / "ae.safetensors")]) == 1
    assert "neither a checkpoint" in capsys.readouterr().err


def test_the_report_ends_the_output(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    assert main(["export", str(checkpoint), "--out", str(out), "--block-size", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("layers"))
    table = {line[:18].strip(): line[18:].split() for line in lines[first + 1 : first + 13]}
    assert set(table) == {
        *("text embedding", "text attention", "text mlp", "norms", "timestep", "modulation", "embedders"),
        *("double attention", "double mlp", "single in", "single out", "VAE decoder"),
    }
    assert table["single in"][1] == "4.625"
    assert 4 < float(table["single in"][2].rstrip("%")) < 12
    assert table["modulation"][1:] == ["16.000", "0.000%"]
    sizes = {line[:33].strip(): int(line.split()[-2].replace(",", "")) for line in lines[first + 13 :]}
    assert list(sizes)[:3] == ["text encoder", "transformer", "vae decoder"]
    assert sizes.pop("together") == sum(sizes.values()) == sum(map(len, files(out).values()))


def test_every_linear_in_4_bits_and_a_clipped_context(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    arguments = ["--all-q4", "--context-clip", "12.5", "--symmetric"]
    assert main(["export", str(checkpoint), "--out", str(out), *arguments]) == 0
    bundle = Bundle.open(out)
    assert bundle.config.prompt.context_clip == 12.5
    for stage in ("text_encoder", "transformer"):
        for name, spec in bundle.expected[stage].items():
            assert isinstance(bundle.tensor(stage, name), Q4) == (spec.kind == "linear"), name
    assert json.loads((out / "flux2-config.json").read_text())["context_clip"] == 12.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "f16", "--all-q4"], "--all-q4 go with --weights q4"),
        (["--context-clip", "-1"], "context clip -1.0: expected a number, 0 for none"),
        (["--context-clip", "nan"], "context clip nan"),
        (["--context-clip", "1e39"], "context clip 1e+39"),
    ],
)
def test_options_that_cannot_be_are_refused(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "b"), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
