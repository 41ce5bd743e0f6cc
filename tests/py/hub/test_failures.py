"""One line for everything that a hub or a machine may refuse, and no secret in any of them."""

from __future__ import annotations

import errno
import logging
import shutil
from pathlib import Path

import pytest
from hub.fake_hub import FOR_EVER, TOKEN, FakeHub
from hub.fetching import BIG, REPO, fetched, refused
from hub.repositories import checkpoint_files
from huggingface_hub import constants


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
    served.statuses[path] = [status, FOR_EVER]
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
    served.statuses[f"/api/models/{REPO}/revision/main"] = [200, FOR_EVER]
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
            served.statuses[f"/api/models/{REPO}/revision/main"] = [403, FOR_EVER]
        case "content":
            served.statuses[f"/{REPO}/{commit}/{BIG}"] = [500, FOR_EVER]
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
