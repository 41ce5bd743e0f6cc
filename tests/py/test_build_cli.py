"""build.py as people run it: every command, its exit status, and one line for every mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kleinbild import __version__
from kleinbild.checkpoint.tiny import TINY_FOLDER, write_tiny_checkpoint
from kleinbild.notice import read_notice
from kleinbild.package.cli import main
from kleinbild.package.manifest import Manifest, manifest_from_json
from kleinbild.package.model_index import manifest_files, read_manifests
from kleinbild.package.shell import ShellSource
from kleinbild.package.source import MINI_FOLDER

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as checkpoint/, its default export as bundle/, and dist/ made from that."""
    folder = tmp_path_factory.mktemp("built")
    write_tiny_checkpoint(folder / "checkpoint")
    assert main(["export", str(folder / "checkpoint"), "--out", str(folder / "bundle")]) == 0
    with pytest.MonkeyPatch.context() as patch:
        small_shell(patch, folder)
        assert main(["site", str(folder / "bundle"), "--out", str(folder / "dist")]) == 0
    return folder


@pytest.fixture(autouse=True)
def _small_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small_shell(monkeypatch, tmp_path)


def small_shell(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Lets `site` render four short templates instead of the page, which other tests look at."""
    templates, scripts = folder / "templates", folder / "scripts"
    (templates / "i18n" / "en").mkdir(parents=True)
    scripts.mkdir()
    (templates / "i18n" / "en" / "shell.json").write_text('{"shell.language_name": "English"}\n')
    (templates / "index.html.j2").write_text("{{ manifest_path }} {{ build }}\n")
    (templates / "bench.html.j2").write_text("{{ build }}\n")
    (templates / "kiosk.html.j2").write_text("{{ build }}\n")
    (templates / "sw.js.j2").write_text("{{ files | tojson }}\n")
    (templates / "app.webmanifest.j2").write_text("{}\n")
    (scripts / "main.js").write_text("main\n")
    patch.setattr("kleinbild.package.site.ShellSource", lambda: ShellSource(templates, scripts))


def manifest_of(dist: Path) -> Manifest:
    (path,) = manifest_files(dist)
    return manifest_from_json(json.loads(path.read_text()))


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command which must fail prints on stderr."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    return errors[0]


def test_build_py_runs_from_anywhere(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, PROJECT / "build.py", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"kleinbild {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bake"],
        ["site"],
        ["export", "x"],
        ["site", "tiny", "--weights", "q8"],
        ["site", "tiny", "--block-size", "17"],
    ],
)
def test_misuse_exits_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_default_export_is_q4_with_zero_points(built: Path) -> None:
    manifest = manifest_of(built / "dist")
    assert manifest.weights == "q4"
    q4 = {(t.block_size, t.zero_points) for t in manifest.tensors if t.format == "q4"}
    assert q4 == {(16, True)}


def test_check_names_what_it_sees(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, kind in [("checkpoint", "checkpoint"), ("bundle", "bundle"), ("dist", "site")]:
        capsys.readouterr()
        assert main(["check", str(built / name)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{built / name}: {kind}, ")
        assert lines[1].startswith("model ")
        assert lines[-1] == "whole"


def test_the_same_source_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    assert main(["site", str(built / "bundle"), "--out", str(tmp_path / "dist")]) == 0
    assert {n: b for n, b in tree(tmp_path / "dist").items() if n != "SHA256SUMS"} == {
        n: b for n, b in tree(built / "dist").items() if n != "SHA256SUMS"
    }
    assert tree(tmp_path / "dist")["SHA256SUMS"] == tree(built / "dist")["SHA256SUMS"]


def test_building_again_reuses_the_shards(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "dist"
    assert main(["site", str(built / "bundle"), "--out", str(out)]) == 0
    inodes = {path.name: path.stat().st_ino for path in (out / "w").iterdir()}
    before = tree(out)
    assert main(["site", str(built / "bundle"), "--out", str(out)]) == 0
    assert tree(out) == before
    assert {path.name: path.stat().st_ino for path in (out / "w").iterdir()} == inodes


def test_a_checkpoint_is_exported_on_the_way(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "dist"
    assert main(["site", str(built / "checkpoint"), "--out", str(out)]) == 0
    assert manifest_of(out) == manifest_of(built / "dist")
    assert not list(out.rglob("*.onnx"))
    assert not (out / ".work").exists()
    arguments = ["--weights", "q4", "--block-size", "32", "--symmetric"]
    assert main(["site", str(built / "checkpoint"), "--out", str(out), *arguments]) == 0
    q4 = {(t.block_size, t.zero_points) for t in manifest_of(out).tensors if t.format == "q4"}
    assert q4 == {(32, False)}


@pytest.mark.parametrize(
    ("source", "folder"), [("mini", MINI_FOLDER), ("tiny", TINY_FOLDER), (str(MINI_FOLDER), MINI_FOLDER)]
)
def test_the_models_of_the_project_are_packaged_in_f16(source: str, folder: Path, tmp_path: Path) -> None:
    assert main(["site", source, "--out", str(tmp_path / "dist")]) == 0
    manifest = manifest_of(tmp_path / "dist")
    index = json.loads((folder / "model_index.json").read_text())
    assert manifest.weights == "f16"
    assert manifest.name == index["name"]
    assert manifest.notice == read_notice(index["kleinbild_notice"], "")
    assert manifest.config.prompt.text_seq_len == index.get("kleinbild_text_seq_len", 512)
    assert {t.format for t in manifest.tensors} == {"f16", "f32"}


def test_the_models_of_the_project_take_other_weights_when_asked(tmp_path: Path) -> None:
    assert main(["site", "mini", "--out", str(tmp_path / "dist"), "--weights", "q4"]) == 0
    assert manifest_of(tmp_path / "dist").weights == "q4"


def test_options_without_meaning_are_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dist"
    error = fails(capsys, "site", built / "bundle", "--out", out, "--weights", "f16")
    assert "a bundle is packaged as it is" in error
    error = fails(capsys, "site", built / "checkpoint", "--out", out, "--weights", "f16", "--symmetric")
    assert "go with --weights q4" in error
    error = fails(
        capsys, "export", built / "checkpoint", "--out", out, "--weights", "f32", "--block-size", "32"
    )
    assert "go with --weights q4" in error
    assert not out.exists()


def test_sources_that_are_none_are_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dist"
    (tmp_path / "empty").mkdir()
    assert "expected hf:owner/name" in fails(capsys, "site", "hf:nowhere", "--out", out)
    assert "no such folder" in fails(capsys, "site", tmp_path / "nowhere", "--out", out)
    assert "neither a checkpoint" in fails(capsys, "site", tmp_path / "empty", "--out", out)
    assert "already a site" in fails(capsys, "site", built / "dist", "--out", out)
    assert "not a checkpoint" in fails(capsys, "export", built / "bundle", "--out", tmp_path / "b")
    assert "neither a checkpoint" in fails(capsys, "check", tmp_path / "empty")
    assert "no such folder" in fails(capsys, "check", built / "dist" / "index.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "scripts", "templates"]


def test_outputs_that_cannot_be_are_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    bundle = built / "bundle"
    assert "not a folder" in fails(capsys, "site", bundle, "--out", tmp_path / "file")
    assert "give another --out" in fails(capsys, "site", bundle, "--out", tmp_path / "file" / "dist")
    assert "give another --out" in fails(capsys, "site", bundle, "--out", "/proc/dist")
    assert "not empty and no site" in fails(capsys, "site", bundle, "--out", tmp_path / "folder")
    assert "give another --out" in fails(capsys, "site", bundle, "--out", PROJECT)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.txt").read_text() == "mine"


def test_a_damaged_source_leaves_the_old_site(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, bundle = tmp_path / "dist", tmp_path / "bundle"
    shutil.copytree(built / "dist", out)
    shutil.copytree(built / "bundle", bundle)
    before = tree(out)
    tokenizer = bundle / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"NFC"', '"NFKC"'))
    assert "normalizer is {'type': 'NFKC'}" in fails(capsys, "site", bundle, "--out", out)
    assert "normalizer is {'type': 'NFKC'}" in fails(capsys, "check", bundle)
    shutil.rmtree(bundle)
    shutil.copytree(built / "bundle", bundle)
    (shard,) = bundle.glob("transformer-*.onnx_data")
    shard.unlink()
    assert shard.name in fails(capsys, "site", bundle, "--out", out)
    assert shard.name in fails(capsys, "check", bundle)
    assert tree(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "dist", "scripts", "templates"]


def test_check_reports_every_damage_of_a_site(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(built / "dist", tmp_path / "dist"))
    (out / "sw.js").write_text("changed")
    (out / "extra").write_text("x")
    capsys.readouterr()
    assert main(["check", str(out)]) == 1
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        f"error: {out / 'extra'}: not in SHA256SUMS, so not written by build.py",
        f"error: {out / 'sw.js'}: damaged (its SHA-256 is not the one in SHA256SUMS)",
    ]
    assert "whole" not in output.out


def test_check_refuses_a_damaged_checkpoint(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(built / "checkpoint", tmp_path / "checkpoint"))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 64)
    assert "vae" in fails(capsys, "check", folder)


def test_models_stand_side_by_side_and_can_be_added(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    together, added = tmp_path / "together", tmp_path / "added"
    bundle, small = str(built / "bundle"), str(tmp_path / "f16")
    assert main(["export", str(built / "checkpoint"), "--out", small, "--weights", "f16"]) == 0
    assert main(["site", bundle, small, "--out", str(together)]) == 0
    assert main(["site", bundle, "--out", str(added)]) == 0
    inodes = {path.name: path.stat().st_ino for path in (added / "w").iterdir()}
    assert main(["site", small, "--out", str(added), "--add"]) == 0
    assert tree(added) == tree(together)
    assert inodes.items() <= {path.name: path.stat().st_ino for path in (added / "w").iterdir()}.items()
    manifests = read_manifests(together)
    assert [manifest.weights for manifest in manifests] == ["q4", "f16"]
    assert (together / "index.html").read_text().startswith(f"/models/{manifests[0].id}.json ")
    listed = (together / "sw.js").read_text()
    assert "/models/index.json" in listed
    assert manifests[0].id in listed
    assert manifests[1].id not in listed
    capsys.readouterr()
    assert main(["check", str(together)]) == 0
    assert "2 models, the page opens" in capsys.readouterr().out


def test_another_revision_takes_the_place_of_the_one_before(built: Path, tmp_path: Path) -> None:
    out, other = str(tmp_path / "dist"), str(tmp_path / "block32")
    assert main(["export", str(built / "checkpoint"), "--out", other, "--block-size", "32"]) == 0
    assert main(["site", str(built / "bundle"), "--out", out]) == 0
    assert main(["site", other, "--out", out, "--add"]) == 0
    assert main(["site", other, "--out", str(tmp_path / "alone")]) == 0
    assert tree(tmp_path / "dist") == tree(tmp_path / "alone")


def test_adding_to_what_is_no_whole_site_is_refused(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dist"
    assert "no site to add a model to" in fails(
        capsys, "site", built / "bundle", "--out", tmp_path / "none", "--add"
    )
    shutil.copytree(built / "dist", out)
    shard = max((out / "w").iterdir(), key=lambda path: path.stat().st_size)
    shard.write_bytes(bytes(shard.stat().st_size))
    before = tree(out)
    assert f"{shard}: missing or damaged" in fails(capsys, "site", "tiny", "--out", out, "--add")
    assert main(["site", str(built / "bundle"), str(built / "bundle"), "--out", str(out)]) == 1
    assert "is given twice" in capsys.readouterr().err
    assert tree(out) == before
