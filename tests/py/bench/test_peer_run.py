"""What the peer benchmark keeps of what a page reports, and what it makes of a browser that ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from onnx import TensorProto
from peer_folder import GraphFolder
from peer_plan import make_plan
from peer_run import MOST_BROWSERS, PeerRun
from peer_shapes import quick_shapes

from kleinbild.errors import KleinbildError

PLAN = make_plan(quick_shapes(), "float32")


def browser_that(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "chromium"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(path))


def test_a_job_with_an_outcome_is_not_asked_for_again() -> None:
    lines: list[str] = []
    run = PeerRun(PLAN, 1, 100, lines.append)
    first, second = (job.id for job in PLAN.jobs[:2])
    run.take({"type": "adapter", "adapter": {"vendor": "v"}, "families": ["plain"]})
    run.take({"type": "begin", "job": first, "family": "plain"})
    run.take({"type": "result", "job": first, "family": "plain", "ms": [3, 2.5], "note": "engine 1"})
    run.take({"type": "result", "job": second, "family": "plain", "error": "lost"})
    page = run.page_plan()
    assert page["done"] == [f"plain {first}", f"plain {second}"]
    assert [job["id"] for job in page["jobs"]] == [job.id for job in PLAN.jobs]
    assert 0 < page["budget_seconds"] <= 100
    assert (run.outcomes[first, "plain"].best, run.outcomes[second, "plain"].best) == (2.5, None)
    assert run.notes == {"plain: engine 1"}
    assert "2.50 ms" in lines[0] and "lost" in lines[1]


def test_a_browser_that_never_comes_up_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser_that(
        tmp_path, f"echo started >> {tmp_path}/starts; echo FATAL: no display >&2; exit 3", monkeypatch
    )
    run = PeerRun(PLAN, 1, 100, lambda text: None)
    graphs = GraphFolder(tmp_path, quick_shapes(), TensorProto.FLOAT)
    with pytest.raises(KleinbildError, match=r"ended with status 3.*no display"):
        asyncio.run(run.run(graphs, tmp_path, software=True))
    assert len((tmp_path / "starts").read_text().split()) == MOST_BROWSERS


def test_a_page_without_a_gpu_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser_that(tmp_path, "sleep 30", monkeypatch)
    run = PeerRun(PLAN, 1, 100, lambda text: None)
    graphs = GraphFolder(tmp_path, quick_shapes(), TensorProto.FLOAT)

    async def run_and_report() -> None:
        running = asyncio.create_task(run.run(graphs, tmp_path, software=True))
        await asyncio.sleep(0.3)
        run.take({"type": "end", "error": "no GPU"})
        await running

    with pytest.raises(KleinbildError, match="no GPU"):
        asyncio.run(run_and_report())
