"""The output folder: swapped in whole, and never at the cost of somebody's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.package.output import KEPT, WORK, read_sums, reusable, staged_folder
from kleinbild.part_folder import MARKER


def build(out: Path, text: str) -> None:
    with staged_folder(out) as root:
        (root / "models").mkdir()
        (root / "models" / "m.json").write_text(text)
        (root / "index.html").write_text("page")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_digests_cover_every_file(tmp_path: Path) -> None:
    build(tmp_path / "dist", "one")
    assert sorted(tree(tmp_path / "dist")) == ["SHA256SUMS", "index.html", "models/m.json"]
    assert read_sums(tmp_path / "dist") == {
        "index.html": hashlib.sha256(b"page").hexdigest(),
        "models/m.json": hashlib.sha256(b"one").hexdigest(),
    }


def test_a_new_site_replaces_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "dist"
    build(out, "one")
    build(out, "two")
    assert (out / "models" / "m.json").read_text() == "two"
    assert [path.name for path in out.parent.iterdir()] == ["dist"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    build(tmp_path / "dist", "one")
    assert (tmp_path / "dist" / "index.html").is_file()


@pytest.mark.parametrize(
    "error", [KleinbildError("no"), OSError(28, "No space left on device"), KeyboardInterrupt(), KeyError()]
)
def test_a_failed_build_leaves_the_old_site(tmp_path: Path, error: BaseException) -> None:
    out = tmp_path / "dist"
    build(out, "one")
    before = tree(out)
    with pytest.raises((KleinbildError, KeyboardInterrupt, KeyError)), staged_folder(out) as root:
        (root / "half").write_text("")
        raise error
    assert tree(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_strangers_files_are_never_deleted(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(KleinbildError, match="not empty and no site"):
        build(out, "one")
    assert tree(out) == {"thesis.txt": b"mine"}


def test_files_added_to_a_site_are_never_deleted(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    build(out, "one")
    (out / "models" / "notes.txt").write_text("mine")
    with pytest.raises(KleinbildError, match=r"notes\.txt: not written by build\.py"):
        build(out, "two")
    assert (out / "models" / "notes.txt").read_text() == "mine"
    assert (out / "models" / "m.json").read_text() == "one"


def test_links_are_not_followed(tmp_path: Path) -> None:
    build(tmp_path / "real", "one")
    (tmp_path / "dist").symlink_to(tmp_path / "real")
    with pytest.raises(KleinbildError, match="dist: not a folder"):
        build(tmp_path / "dist", "two")
    assert (tmp_path / "real" / "models" / "m.json").read_text() == "one"


def test_a_stale_half_build_is_cleared_but_a_stranger_is_not(tmp_path: Path) -> None:
    part = tmp_path / "dist.part"
    part.mkdir()
    (part / ".kleinbild-build").touch()
    (part / "half").touch()
    build(tmp_path / "dist", "one")
    part.mkdir()
    (part / "mine").touch()
    with pytest.raises(KleinbildError, match=r"dist\.part: not written by build\.py"):
        build(tmp_path / "dist", "two")
    assert (part / "mine").exists()


def test_a_build_cut_off_between_two_renames_is_undone(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    build(out, "one")
    out.rename(tmp_path / "dist.replaced")
    with pytest.raises(KleinbildError), staged_folder(out):
        raise KleinbildError("no")
    assert (out / "models" / "m.json").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_unwritable_places_give_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "dist", Path("/proc/nowhere/dist")):
        with pytest.raises(KleinbildError, match="give another --out"):
            build(out, "one")
    with pytest.raises(KleinbildError, match="file: not a folder"):
        build(tmp_path / "file", "one")
    assert (tmp_path / "file").read_text() == ""


def test_damaged_digest_lists_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    build(out, "one")
    good = (out / "SHA256SUMS").read_text()
    for bad in (good + "x\n", good + good, "0" * 64 + " index.html\n", "\x00"):
        (out / "SHA256SUMS").write_text(bad)
        with pytest.raises(KleinbildError, match=r"SHA256SUMS: line \d is damaged"):
            read_sums(out)


def interrupt(out: Path) -> None:
    """A build that is stopped with one shard whole, one half, and one of two steps of its work finished."""
    with pytest.raises(KeyboardInterrupt), staged_folder(out) as root:
        (root / "w").mkdir()
        (root / "w" / "whole.bin").write_text("new")
        (root / "w" / "half.bin.part").write_text("ha")
        (root / "models").mkdir()
        (root / WORK / "bundle").mkdir(parents=True, exist_ok=True)
        (root / WORK / "bundle" / "graph").write_text("graph")
        (root / WORK / "checkpoint").mkdir()
        (root / WORK / "checkpoint" / "weights").touch()
        (root / WORK / "bundle" / MARKER).touch()
        raise KeyboardInterrupt


def test_an_interrupted_build_leaves_whole_shards_and_finished_steps(tmp_path: Path) -> None:
    out, part = tmp_path / "dist", tmp_path / "dist.part"
    build(out, "one")
    before = tree(out)
    interrupt(out)
    assert tree(out) == before
    assert sorted(tree(part)) == [
        f"{KEPT}/w/whole.bin",
        MARKER,
        f"{WORK}/bundle/{MARKER}",
        f"{WORK}/bundle/graph",
    ]


def test_the_next_build_gets_them_and_the_site_does_not(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with staged_folder(out) as root:
        (root / "w").mkdir()
        (root / "w" / "old.bin").write_text("old")
    interrupt(out)
    interrupt(out)
    with staged_folder(out) as root:
        assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == []
        assert (root / WORK / "bundle" / "graph").read_text() == "graph"
        shards = reusable(root, out) / "w"
        assert {path.name: path.read_text() for path in shards.iterdir()} == {
            "old.bin": "old",
            "whole.bin": "new",
        }
        (root / "index.html").touch()
    assert sorted(tree(out)) == ["SHA256SUMS", "index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_without_an_interrupted_run_the_old_site_is_what_is_taken_over(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with staged_folder(out) as root:
        assert reusable(root, out) == out


def test_an_interrupt_before_anything_is_whole_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "dist") as root:
        (root / "w").mkdir()
        (root / WORK / "checkpoint").mkdir(parents=True)
        (root / WORK / "checkpoint" / "weights").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_one_build_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    with staged_folder(out) as root:
        (root / "index.html").write_text("first")
        with pytest.raises(KleinbildError, match=r"dist\.part: another build is writing it"):
            build(out, "two")
    assert (out / "index.html").read_text() == "first"


def test_a_build_cut_off_just_after_its_last_rename_is_a_site(tmp_path: Path) -> None:
    out = tmp_path / "dist"
    build(out, "one")
    (out / ".kleinbild-build").touch()
    build(out, "two")
    assert (out / "models" / "m.json").read_text() == "two"
    assert not (out / ".kleinbild-build").exists()
