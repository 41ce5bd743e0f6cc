"""What is told of pictures: a bar on a terminal, one line each elsewhere, JSON for machines."""

from __future__ import annotations

import io
import json
from pathlib import Path

from server.fake_site import png
from server.queue.fake_engine import HALFWAY, job
from server.test_progress import Terminal

from kleinbild.server.generate.progress import Progress
from kleinbild.server.generate.session import Picture
from kleinbild.server.make.batch import Task
from kleinbild.server.make.report import Report

TASK = Task(job(), Path("out/a.png"), 3)
PICTURE = Picture(png(16, 16), {"transformer": 0.5})


def told(terminal: bool, as_json: bool) -> tuple[str, str]:
    """What goes to stderr and to stdout for a picture made, one there, one refused."""
    err, out = Terminal() if terminal else io.StringIO(), io.StringIO()
    progress = Progress(err)
    report = Report(progress, as_json, out)
    report.title = "1 of 3: "
    report.making(HALFWAY)
    report.done(TASK, PICTURE, 1.25, "server")
    report.there(TASK)
    report.refused(TASK, "too-large: in words")
    progress.note(report.summary())
    progress.close()
    return err.getvalue(), out.getvalue()


def test_one_line_a_picture() -> None:
    err, out = told(terminal=False, as_json=False)
    assert out == ""
    assert err.splitlines() == [
        "out/a.png: 16x16, seed 1, 1 steps, 1.25 s",
        "out/a.png: too-large: in words",
        "1 made, 1 there already, 1 failed",
    ]


def test_a_bar_on_a_terminal() -> None:
    err, _ = told(terminal=True, as_json=False)
    assert "[############............]  50% 1 of 3: transformer 1/2\r\x1b[K" in err


def test_json_lines() -> None:
    _, out = told(terminal=False, as_json=True)
    made, there, failed = map(json.loads, out.splitlines())
    facts = {
        "output": "out/a.png",
        "line": 3,
        "prompt": "x",
        "width": 16,
        "height": 16,
        "seed": 1,
        "steps": 1,
    }
    assert made == facts | {"state": "done", "seconds": 1.25, "stages": {"transformer": 0.5}, "by": "server"}
    assert there == facts | {"state": "there"}
    assert failed == facts | {"state": "failed", "error": "too-large: in words"}
