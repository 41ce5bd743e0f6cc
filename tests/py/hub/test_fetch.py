"""Fetching from a hub, with everything that goes wrong on the way: what arrives, what is asked for, what is said."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from hub.fake_hub import TOKEN, FakeHub, folder_files
from hub.repositories import BUNDLE_NEEDLESS, CHECKPOINT_NEEDLESS, NOISE, bundle_files, checkpoint_files
from huggingface_hub import constants, hf_hub_download

from kleinbild.errors import KleinbildError
from kleinbild.hub import Fetched, Plan, fetch

REPO = "owner/model"
BIG = "transformer/diffusion_pytorch_model.safetensors"


def fetched(source: str = f"hf:{REPO}") -> tuple[Fetched, Plan]:
    """What a fetch of `source` gives and announces."""
    plans: list[Plan] = []
    result = fetch(source, plans.append)
    (plan,) = plans
    return result, plan


def refused(source: str = f"hf:{REPO}") -> str:
    """The line that a fetch of `source` fails with."""
    with pytest.raises(KleinbildError) as caught:
        fetch(source, lambda plan: None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def needed(files: dict[str, bytes], needless: frozenset[str]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path not in needless}


CHECKPOINT = needed(checkpoint_files(), CHECKPOINT_NEEDLESS)


@pytest.mark.parametrize(
    ("files", "needless"), [(checkpoint_files(), CHECKPOINT_NEEDLESS), (bundle_files(), BUNDLE_NEEDLESS)]
)
def test_the_needed_files_come_and_no_others(
    served: FakeHub, files: dict[str, bytes], needless: frozenset[str]
) -> None:
    commit = served.add(REPO, files)
    result, plan = fetched()
    wanted = needed(files, needless)
    assert folder_files(result.folder) == wanted
    assert result.name == "model"
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
    assert folder_files(result.folder) == CHECKPOINT


def test_a_new_revision_fetches_only_what_changed(served: FakeHub) -> None:
    first = served.add(REPO, checkpoint_files())
    fetched()
    second = served.add(REPO, checkpoint_files() | {"vae/config.json": b'{"part": "new"}'})
    served.requests.clear()
    result, plan = fetched()
    assert served.downloads() == ["vae/config.json"]
    assert plan.commit == second
    assert (result.folder / "vae" / "config.json").read_bytes() == b'{"part": "new"}'
    old, plan = fetched(f"hf:{REPO}@{first}")
    assert (plan.commit, plan.missing_bytes) == (first, 0)
    assert folder_files(old.folder) == CHECKPOINT


def test_everything_comes_from_the_commit_that_was_listed(served: FakeHub) -> None:
    listed = served.add(REPO, checkpoint_files())
    moved = served.add(REPO, checkpoint_files() | {BIG: b"other"}, branch="next")
    served.after_listing.append((REPO, "main", moved))
    result, plan = fetched()
    assert plan.commit == listed
    assert folder_files(result.folder) == CHECKPOINT
    assert all(listed in r.path for r in served.requests if "/resolve/" in r.path)


def test_a_branch_and_a_tag_with_a_slash(served: FakeHub) -> None:
    served.add(REPO, {"README.md": b""})
    commit = served.add(REPO, checkpoint_files(), branch="refs/pr/1")
    assert fetched(f"hf:{REPO}@refs/pr/1")[1].commit == commit


def test_a_dropped_connection_is_resumed(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000, 50_000]
    result, _ = fetched()
    assert (result.folder / BIG).read_bytes() == NOISE
    ranges = [r.range for r in served.requests if r.server == "cdn" and r.path.endswith(BIG)]
    assert ranges == ["", "bytes=100000-", "bytes=150000-"]


def test_a_fetch_that_gave_up_is_resumed_by_the_next(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000, 0, 0, 0, 0]
    assert "what was fetched is kept" in refused()
    served.breaks.clear()
    served.requests.clear()
    result, plan = fetched()
    assert plan.missing_bytes == len(NOISE) - 100_000
    assert served.downloads() == [BIG]
    assert [r.range for r in served.requests if r.server == "cdn"] == ["bytes=100000-"]
    assert (result.folder / BIG).read_bytes() == NOISE


def test_an_interrupted_fetch_is_resumed(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kleinbild.hub.download.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetched()
    assert fetched()[1].missing_bytes == len(NOISE) - 100_000


def test_a_server_that_continues_nothing_sends_the_whole_again(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    served.ignores_range = True
    result, _ = fetched()
    assert (result.folder / BIG).read_bytes() == NOISE


def test_a_refused_range_starts_the_file_again(served: FakeHub) -> None:
    commit = served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    served.statuses[f"/{REPO}/{commit}/{BIG}"] = []
    place = served.statuses[f"/{REPO}/{commit}/{BIG}"]

    class OnSecond(list[int]):
        """No status for the first request, 416 for the second."""

        asked = 0

        def __bool__(self) -> bool:
            OnSecond.asked += 1
            return OnSecond.asked == 2

    del place
    served.statuses[f"/{REPO}/{commit}/{BIG}"] = OnSecond([416])
    result, _ = fetched()
    assert (result.folder / BIG).read_bytes() == NOISE
    ranges = [r.range for r in served.requests if r.server == "cdn" and r.path.endswith(BIG)]
    assert ranges == ["", "bytes=100000-", ""]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_short_disorder_is_waited_out(served: FakeHub, status: int) -> None:
    commit = served.add(REPO, checkpoint_files())
    served.statuses[f"/{REPO}/{commit}/{BIG}"] = [status, status]
    result, _ = fetched()
    assert folder_files(result.folder) == CHECKPOINT


def test_a_swapped_content_is_fetched_once_more(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.swapped[BIG] = [bytes(len(NOISE))]
    result, _ = fetched()
    assert (result.folder / BIG).read_bytes() == NOISE


@pytest.mark.parametrize(
    "other", [bytes(len(NOISE)), NOISE + b"more"], ids=["other bytes", "more bytes than listed"]
)
@pytest.mark.parametrize("path", [BIG, "vae/config.json"])
def test_a_changed_file_is_refused(served: FakeHub, cache: Path, path: str, other: bytes) -> None:
    size = len(CHECKPOINT[path])
    served.add(REPO, checkpoint_files())
    served.swapped[path] = [other if len(other) > len(NOISE) else other[:size]] * 9
    error = refused()
    assert error.startswith(f"hf:{REPO}: {path} is not what the hub lists at ")
    assert not any(path == p.relative_to(cache).as_posix()[-len(path) :] for p in cache.rglob("*"))
    assert not any(p.read_bytes()[:100] == other[:100] for p in cache.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        ({"X-Linked-Etag": '"' + "0" * 64 + '"'}, "another hash or size"),
        ({"X-Linked-Size": "17"}, "another hash or size"),
        ({"X-Repo-Commit": "0" * 40}, "another commit"),
    ],
)
def test_a_file_announced_otherwise_than_listed_is_not_fetched(
    served: FakeHub, lie: dict[str, str], complaint: str
) -> None:
    served.add(REPO, checkpoint_files())
    served.lies[BIG] = lie
    assert complaint in refused()
    assert BIG not in served.downloads()


HOSTILE = ["../evil.json", "/etc/evil", "a/../../evil", "tokenizer\\..\\evil.json", "a//b", "", "a\nb", "./a"]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names_are_refused(served: FakeHub, cache: Path, tmp_path: Path, path: str) -> None:
    served.add(REPO, checkpoint_files())
    served.extra_siblings = [{"rfilename": path, "size": 3, "blobId": "0" * 40}]
    error = refused()
    assert "outside the model's folder" in error
    assert repr(path) in error
    assert served.downloads() == []
    assert [p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)] == []


@pytest.mark.parametrize(
    "sibling",
    [
        {"rfilename": "a", "size": -1, "blobId": "0" * 40},
        {"rfilename": "a", "size": "3", "blobId": "0" * 40},
        {"rfilename": "a", "size": 3, "blobId": "../../evil"},
        {"rfilename": "a", "size": 3, "lfs": {"size": 3, "sha256": "../x", "pointerSize": 1}},
        {"rfilename": "README.md", "size": 3, "blobId": "0" * 40},
        {"size": 3},
        {"rfilename": "a", "size": 3, "lfs": {"oid": "x"}},
        {"rfilename": 3, "size": 3, "blobId": "0" * 40},
    ],
)
def test_a_listing_without_sense_is_refused(served: FakeHub, sibling: dict[str, object]) -> None:
    served.add(REPO, checkpoint_files())
    served.extra_siblings = [sibling]
    refused()
    assert served.downloads() == []


@pytest.mark.parametrize("licence", ["", None, 5, "x\x1b[2J", "x" * 200])
def test_a_licence_that_is_none(served: FakeHub, licence: object) -> None:
    served.add(REPO, checkpoint_files())
    served.licence = licence
    assert fetched()[1].licence == ""


@contextmanager
def hub_gone(monkeypatch: pytest.MonkeyPatch, how: str) -> Iterator[None]:
    """The time after the server went away: nobody answers, or the user says not to ask."""
    with monkeypatch.context() as patch:
        if how == "HF_HUB_OFFLINE":
            patch.setattr(constants, "HF_HUB_OFFLINE", True)
        else:
            patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
        yield


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
    served.statuses[f"/api/models/{REPO}/revision/main"] = [500, -1]
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
    assert folder_files(result.folder) == CHECKPOINT
    assert (plan.files, plan.licence) == (len(CHECKPOINT), "")


def test_an_incomplete_cache_does_not_serve(
    served: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = served.add(REPO, checkpoint_files())
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        assert refused().endswith("the cache does not hold it")
    result, _ = fetched()
    big = result.folder / BIG
    with hub_gone(monkeypatch, "HF_HUB_OFFLINE"):
        big.resolve().write_bytes(bytes(len(NOISE)))
        assert "is damaged" in refused()
        big.unlink()
        assert "1 of the model's 14 files are not in the cache" in refused()
        (result.folder / "model_index.json").unlink()
        assert refused(f"hf:{REPO}@{commit}").endswith("files are not in the cache")
        (result.folder / "text_encoder/model.safetensors.index.json").unlink()
        assert refused().endswith("text_encoder/model.safetensors.index.json is not in the cache")


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


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "`hf auth login` or set HF_TOKEN"),
        (403, "accept its terms at"),
        (404, "check owner, name and revision"),
        (429, "wait some minutes"),
        (500, "out of order (500)"),
        (418, "refuses the request (418)"),
    ],
)
@pytest.mark.parametrize("where", ["listing", "file", "content"])
def test_every_status_has_its_line(served: FakeHub, status: int, said: str, where: str) -> None:
    commit = served.add(REPO, checkpoint_files())
    path = {
        "listing": f"/api/models/{REPO}/revision/main",
        "file": f"/{REPO}/resolve/{commit}/{BIG}",
        "content": f"/{REPO}/{commit}/{BIG}",
    }[where]
    served.statuses[path] = [status, -1]
    error = refused()
    assert error.startswith(f"hf:{REPO}: ")
    assert said in error


def test_repositories_and_revisions_that_are_not_there(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    assert "gated, private or not there" in refused("hf:owner/other")
    assert "has no revision 'v9'" in refused(f"hf:{REPO}@v9")


def test_no_hub_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://user:password@127.0.0.1:1")
    error = refused()
    assert "127.0.0.1:1 cannot be reached (ConnectError)" in error
    assert "password" not in error


def test_a_server_that_is_no_hub(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.statuses[f"/api/models/{REPO}/revision/main"] = [200, -1]
    assert "does not understand" in refused()


def test_a_full_disk(served: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served.add(REPO, checkpoint_files())
    usage = shutil.disk_usage(cache.parent)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        assert "has room for 1,000; make room, or set HF_HUB_CACHE" in refused()

    def full(self: Path, other: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "the disk is full; make room" in refused()


def test_a_cache_that_cannot_be_written(served: FakeHub, cache: Path) -> None:
    served.add(REPO, checkpoint_files())
    cache.write_text("a file")
    assert "set HF_HUB_CACHE to a folder that can be written" in refused()


def test_two_builds_at_once(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    errors = []

    def meanwhile(plan: Plan) -> None:
        errors.append(refused())

    fetch(f"hf:{REPO}", meanwhile)
    assert "another build is fetching this model" in errors[0]


@pytest.mark.parametrize("fault", ["none", "listing", "content", "changed", "network"])
def test_no_token_and_no_signed_address_is_ever_shown(
    served: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    commit = served.add(REPO, checkpoint_files())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_DEBUG", True)
    for name in ("", "huggingface_hub", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)
    match fault:
        case "listing":
            served.statuses[f"/api/models/{REPO}/revision/main"] = [403, -1]
        case "content":
            served.statuses[f"/{REPO}/{commit}/{BIG}"] = [500, -1]
        case "changed":
            served.swapped[BIG] = [b"x"] * 9
        case "network":
            served.breaks[BIG] = [0] * 9
    said = str(fetched()[1]) if fault == "none" else refused()
    shown = capfd.readouterr()
    everything = "\n".join([said, shown.out, shown.err, caplog.text])
    assert TOKEN not in everything
    assert "secret-of-the-address" not in everything
    assert "Bearer" not in everything
    # the token was used, and only where it belongs
    assert {r.authorization for r in served.requests if r.server == "hub"} == {f"Bearer {TOKEN}"}
    assert {r.authorization for r in served.requests if r.server == "cdn"} <= {""}
    assert logging.getLogger("huggingface_hub").level == logging.DEBUG


@pytest.mark.parametrize("token", ["hf_schlüssel", "hf_a\x00b", "hf_a\tb"])
def test_a_token_that_is_none_is_not_repeated(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    served.add(REPO, checkpoint_files())
    Path(constants.HF_TOKEN_PATH).write_text(token)
    error = refused()
    assert "characters that no token has" in error
    assert token not in error
    assert served.requests == []


def test_nobody_is_told_who_builds(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    served.add(REPO, checkpoint_files())
    monkeypatch.setenv("AGENT", "somebody")
    fetched()
    assert not any("agent" in r.path for r in served.requests)


def test_the_library_follows_no_range_that_is_another(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    get = httpx2.Headers.get

    def shifted(self: httpx2.Headers, key: str, default: str = "") -> str:
        value = get(self, key, default)
        return value.replace("bytes 100000-", "bytes 99999-") if key == "Content-Range" else value

    monkeypatch.setattr(httpx2.Headers, "get", shifted)
    result, _ = fetched()
    assert (result.folder / BIG).read_bytes() == NOISE
