"""A model's folder is packaged once, and again when it or the page has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kleinbild.errors import KleinbildError
from kleinbild.server.make.model_dir import Log, Packager, site_of


def test_packaged_once_and_again_after_a_change(tmp_path: Path) -> None:
    source, page, cache = tmp_path / "model", tmp_path / "page", tmp_path / "cache"
    (source / "part").mkdir(parents=True)
    page.mkdir()
    (source / "part" / "weights").write_text("1")
    built: list[Path] = []

    def build(given: Path, out: Path, log: Log) -> None:
        assert given == source
        out.mkdir(exist_ok=True)
        built.append(out)

    said: list[str] = []
    packager = Packager(build, (page,))
    first = site_of(source, cache, packager, said.append)
    assert first.is_relative_to(cache)
    assert site_of(source, cache, packager, said.append) == first
    assert (len(built), len(said)) == (1, 1)
    (source / "part" / "weights").write_text("22")
    assert site_of(source, cache, packager, said.append) == first
    (page / "main.js").write_text("//")
    assert site_of(source, cache, packager, said.append) == first
    assert len(built) == 3
    other = tmp_path / "other"
    source.rename(other)
    with pytest.raises(KleinbildError, match="no such folder"):
        site_of(source, cache, packager, said.append)


def test_a_packaging_that_failed_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()

    def fail(given: Path, out: Path, log: Log) -> None:
        out.mkdir(exist_ok=True)
        raise KleinbildError("damaged")

    for _ in range(2):
        with pytest.raises(KleinbildError, match="damaged"):
            site_of(tmp_path / "model", tmp_path / "cache", Packager(fail, ()), print)


def test_a_site_is_itself(fake_site: Path, tmp_path: Path) -> None:
    assert site_of(fake_site, tmp_path, Packager(print, ()), print) == fake_site
