"""One file on a bad line or from a hub that says one thing and gives another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.fake_hub import FakeHub, folder_files
from hub.fetching import BIG, CHECKPOINT, REPO, fetched, refused
from hub.repositories import NOISE, checkpoint_files


def test_a_dropped_connection_is_resumed(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000, 50_000]
    result, _ = fetched()
    assert (result / BIG).read_bytes() == NOISE
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
    assert (result / BIG).read_bytes() == NOISE


def test_what_is_left_of_an_outdated_download_goes(served: FakeHub, cache: Path) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000, 0, 0, 0, 0]
    refused()
    assert [part.stat().st_size for part in cache.rglob("*.part")] == [100_000]
    served.add(REPO, checkpoint_files() | {BIG: NOISE[::-1]})
    result, plan = fetched()
    assert plan.missing_bytes == len(NOISE)
    assert (result / BIG).read_bytes() == NOISE[::-1]
    assert list(cache.rglob("*.part")) == []


def test_a_broken_connection_is_told_while_it_is_waited_out(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    monkeypatch.setattr("kleinbild.progress.LINE_SECONDS", 0.0)
    fetched()
    lines = capsys.readouterr().err.splitlines()
    waiting = next(i for i, line in enumerate(lines) if line.endswith(" fails, trying again"))
    assert lines[waiting - 1].endswith(f"  {BIG}")
    assert lines[waiting + 1].endswith(f"  {BIG}")


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
    assert (result / BIG).read_bytes() == NOISE


def test_a_refused_range_starts_the_file_again(served: FakeHub) -> None:
    commit = served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    served.statuses[f"/{REPO}/{commit}/{BIG}"] = [0, 416]
    result, _ = fetched()
    assert (result / BIG).read_bytes() == NOISE
    ranges = [r.range for r in served.requests if r.server == "cdn" and r.path.endswith(BIG)]
    assert ranges == ["", "bytes=100000-", ""]


def test_another_range_than_asked_for_is_not_taken(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.breaks[BIG] = [100_000]
    served.range_shift = 1
    result, _ = fetched()
    assert (result / BIG).read_bytes() == NOISE


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_short_disorder_is_waited_out(served: FakeHub, status: int) -> None:
    commit = served.add(REPO, checkpoint_files())
    served.statuses[f"/{REPO}/{commit}/{BIG}"] = [status, status]
    result, _ = fetched()
    assert folder_files(result) == CHECKPOINT


def test_a_swapped_content_is_fetched_once_more(served: FakeHub) -> None:
    served.add(REPO, checkpoint_files())
    served.swapped[BIG] = [bytes(len(NOISE))]
    result, _ = fetched()
    assert (result / BIG).read_bytes() == NOISE


@pytest.mark.parametrize("more", [b"", b"more"], ids=["other bytes", "more bytes than listed"])
@pytest.mark.parametrize("path", [BIG, "vae/config.json"])
def test_a_changed_file_is_refused(served: FakeHub, cache: Path, path: str, more: bytes) -> None:
    served.add(REPO, checkpoint_files())
    other = b"x" * len(CHECKPOINT[path]) + more
    served.swapped[path] = [other] * 9
    error = refused()
    assert error.startswith(f"hf:{REPO}: {path} is not what the hub lists at ")
    kept = [p for p in cache.rglob("*") if p.is_file()]
    assert not any(p.as_posix().endswith(path) or b"xxxx" in p.read_bytes() for p in kept)


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
