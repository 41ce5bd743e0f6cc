"""What a fetch brings, asks for and announces while the hub is in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.fake_hub import FakeHub, folder_files
from hub.fetching import BIG, CHECKPOINT, REPO, fetched, refused
from hub.repositories import BUNDLE_NEEDLESS, CHECKPOINT_NEEDLESS, NOISE, bundle_files, checkpoint_files
from huggingface_hub import constants, hf_hub_download, scan_cache_dir

from kleinbild.hub import Plan, fetch


def needed(files: dict[str, bytes], needless: frozenset[str]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path not in needless}


@pytest.mark.parametrize(
    ("files", "needless"), [(checkpoint_files(), CHECKPOINT_NEEDLESS), (bundle_files(), BUNDLE_NEEDLESS)]
)
def test_the_needed_files_come_and_no_others(
    served: FakeHub, files: dict[str, bytes], needless: frozenset[str]
) -> None:
    commit = served.add(REPO, files)
    result, plan = fetched()
    wanted = needed(files, needless)
    assert folder_files(result) == wanted
    assert result.resolve().name == "model"
    assert sorted(served.downloads()) == sorted(wanted)
    assert (plan.commit, plan.licence, plan.offline) == (commit, "apache-2.0", "")
    assert (plan.files, plan.bytes) == (len(wanted), sum(map(len, wanted.values())))
    # the JSON files that name the others come first
    assert 0.9 * plan.bytes < plan.missing_bytes < plan.bytes


def test_a_second_fetch_downloads_nothing(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    fetched()
    served.requests.clear()
    _, plan = fetched()
    assert plan.missing_bytes == 0
    assert [(r.method, r.path) for r in served.requests] == [
        ("GET", f"/api/models/{REPO}/revision/main"),
    ]


def test_what_another_tool_fetched_is_used_and_verified(served: FakeHub) -> None:
    commit = served.add(REPO, checkpoint_files())
    path = Path(hf_hub_download(REPO, BIG, revision=commit))
    served.requests.clear()
    _, plan = fetched()
    assert BIG not in served.downloads()
    assert plan.missing_bytes < len(NOISE)
    path.write_bytes(bytes(len(NOISE)))
    served.requests.clear()
    result, plan = fetched()
    assert served.downloads() == [BIG]
    assert plan.missing_bytes == len(NOISE)
    assert folder_files(result) == CHECKPOINT


def test_a_new_revision_fetches_only_what_changed(served: FakeHub) -> None:
    first = served.add(REPO, checkpoint_files())
    fetched()
    second = served.add(REPO, checkpoint_files() | {"vae/config.json": b'{"part": "new"}'})
    served.requests.clear()
    result, plan = fetched()
    assert served.downloads() == ["vae/config.json"]
    assert plan.commit == second
    assert (result / "vae" / "config.json").read_bytes() == b'{"part": "new"}'
    old, plan = fetched(f"hf:{REPO}@{first}")
    assert (plan.commit, plan.missing_bytes) == (first, 0)
    assert folder_files(old) == CHECKPOINT


def test_everything_comes_from_the_commit_that_was_listed(served: FakeHub) -> None:
    listed = served.add(REPO, checkpoint_files())
    moved = served.add(REPO, checkpoint_files() | {BIG: b"other"}, branch="next")
    served.after_listing.append((REPO, "main", moved))
    result, plan = fetched()
    assert plan.commit == listed
    assert folder_files(result) == CHECKPOINT
    assert all(listed in r.path for r in served.requests if "/resolve/" in r.path)


def test_a_branch_and_a_tag_with_a_slash(served: FakeHub) -> None:
    served.add(REPO, {"README.md": b""})
    commit = served.add(REPO, checkpoint_files(), branch="refs/pr/1")
    assert fetched(f"hf:{REPO}@refs/pr/1")[1].commit == commit


@pytest.mark.parametrize("licence", ["", None, 5, "x\x1b[2J", "x" * 200])
def test_a_licence_that_is_none(served: FakeHub, licence: object) -> None:
    served.add(REPO, checkpoint_files())
    served.licence = licence
    assert fetched()[1].licence == ""


def test_two_builds_at_once(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    errors = []

    def meanwhile(plan: Plan) -> None:
        errors.append(refused())

    fetch(f"hf:{REPO}", meanwhile)
    assert "another build is fetching this model" in errors[0]


def test_nobody_is_told_who_builds(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    served.add(REPO, checkpoint_files())
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None)
    fetched()
    assert not any("agent" in r.path for r in served.requests)


def test_the_library_still_understands_its_cache(served: FakeHub, cache: Path) -> None:
    served.add(REPO, checkpoint_files())
    fetched()
    info = scan_cache_dir(cache)
    assert info.warnings == []
    (repo,) = info.repos
    assert (repo.repo_id, repo.nb_files) == (REPO, len(CHECKPOINT))
    assert [sorted(revision.refs) for revision in repo.revisions] == [["main"]]
