"""Fetching without the hub: what the cache must hold to serve, and what is said when it does not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hub.fake_hub import FOR_EVER, FakeHub, folder_files
from hub.fetching import BIG, CHECKPOINT, REPO, fetched, hub_gone, refused
from hub.repositories import NOISE, checkpoint_files
from huggingface_hub import constants, hf_hub_download


@pytest.mark.parametrize("how", ["HF_HUB_OFFLINE", "cannot be reached"])
@pytest.mark.parametrize("revision", ["", "@v1", "@commit"])
def test_a_whole_cache_serves_without_the_hub(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch, how: str, revision: str
) -> None:
    commit = served.add(REPO, checkpoint_files(), branch=revision.removeprefix("@") or "main")
    source = f"hf:{REPO}{revision.replace('commit', commit)}"
    online, plan = fetched(source)
    served.requests.clear()
    with hub_gone(monkeypatch, how):
        offline, offline_plan = fetched(source)
    assert offline == online
    assert how in offline_plan.offline
    assert (offline_plan.commit, offline_plan.licence) == (plan.commit, "apache-2.0")
    assert offline_plan.missing_bytes == 0
    assert served.requests == []


def test_a_hub_out_of_order_leaves_the_cache(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    online, _ = fetched()
    served.statuses[f"/api/models/{REPO}/revision/main"] = [500, FOR_EVER]
    offline, plan = fetched()
    assert offline == online
    assert "out of order (500)" in plan.offline


def test_what_another_tool_cached_serves_without_the_hub(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.add(REPO, checkpoint_files())
    for path in CHECKPOINT:
        hf_hub_download(REPO, path, revision=next(iter(served.repos[REPO])))
    source = f"hf:{REPO}@{next(iter(served.repos[REPO]))}"
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        result, plan = fetched(source)
    assert folder_files(result) == CHECKPOINT
    assert (plan.files, plan.licence) == (len(CHECKPOINT), "")


def in_snapshot(cache: Path, path: str) -> Path:
    """The library's own place for the file `path` of the only commit in the cache."""
    (found,) = cache.glob(f"models--*/snapshots/*/{path}")
    return found


def test_an_incomplete_cache_does_not_serve(
    served: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.add(REPO, checkpoint_files())
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        assert ", and the cache does not hold the model; " in refused()
    fetched()
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        blob = in_snapshot(cache, BIG).resolve()
        blob.write_bytes(bytes(len(NOISE)))
        assert f"{BIG} is damaged" in refused()
        blob.unlink()
        assert "1 of the model's 14 files are not in the cache" in refused()
        in_snapshot(cache, "text_encoder/model.safetensors.index.json").unlink()
        assert "text_encoder/model.safetensors.index.json is not in the cache" in refused()


def test_a_broken_off_update_leaves_the_whole_version_for_offline_use(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.add(REPO, checkpoint_files())
    old, _ = fetched()
    served.add(REPO, checkpoint_files() | {BIG: NOISE[::-1]})
    served.breaks[BIG] = [0] * 9
    refused()
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        assert fetched()[0] == old


def test_a_disk_without_links_serves(served: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    served.add(REPO, checkpoint_files())
    online, _ = fetched()
    assert not in_snapshot(cache, BIG).is_symlink()
    assert not (online / BIG).is_symlink()
    assert folder_files(online) == CHECKPOINT
    assert fetched()[1].missing_bytes == 0
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        assert fetched()[0] == online
