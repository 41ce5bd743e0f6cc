"""serve.py bench without a browser: what it refuses, what it believes, how it prints."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from server.raw_http import ROOT

from kleinbild.errors import KleinbildError
from kleinbild.server.bench.command import page_folder
from kleinbild.server.bench.host import host_facts
from kleinbild.server.bench.options import BenchOptions, make_job
from kleinbild.server.bench.result import MAX_ROWS, MAX_TEXT_CHARS, Progress, Result, Row, parse_frame
from kleinbild.server.bench.table import flops_text, rows_text, table_text, time_text
from kleinbild.server.generate.messages import ErrorMessage, ProtocolError


def options(**changes: Any) -> BenchOptions:
    given: dict[str, Any] = {
        "sizes": None,
        "steps": None,
        "precision": "auto",
        "adapter": "auto",
        "model": "auto",
        "family": "auto",
        "weights": "q4",
        "block_size": 32,
        "zero_points": False,
        "quick": False,
        "json": None,
        "verbose": False,
    }
    return BenchOptions(**(given | changes))


def test_the_job_has_the_options_that_the_page_knows() -> None:
    script = (
        'import { DEFAULT_OPTIONS } from "./src_js/bench_protocol.js";'
        "console.log(JSON.stringify(DEFAULT_OPTIONS))"
    )
    node = subprocess.run(
        ["node", "--input-type=module", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    known = json.loads(node.stdout)
    job = make_job(options())
    assert job.pop("type") == "job"
    assert job | {"build": ""} == known
    job = make_job(options(sizes="256,1024", steps=8, quick=True))
    assert (job["sizes"], job["steps"], job["quick"]) == ([256, 1024], 8, True)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sizes": "100"}, "100 is no multiple"),
        ({"sizes": "0"}, "0 is no multiple"),
        ({"sizes": "64,4096"}, "4096 is no multiple"),
        ({"sizes": ""}, "--sizes"),
        ({"sizes": "64;128"}, "--sizes 64;128"),
        ({"sizes": "-64"}, "--sizes -64"),
        ({"sizes": ",".join(["64"] * 9)}, "1 to 8"),
        ({"steps": 0}, "--steps 0"),
        ({"steps": 101}, "--steps 101"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(KleinbildError, match=word):
        make_job(options(**changes))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "serve.py"), "bench", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={"CHROMIUM": "/bin/false"}
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--sizes", "100"), "--sizes"),
        (("--json", "/nowhere/b.json"), "/nowhere"),
        (("--json", "/"), "/"),
        (("--site", str(ROOT / "tests")), "bench.html"),
    ],
)
def test_refused_in_one_line_before_the_browser_starts(arguments: tuple[str, ...], word: str) -> None:
    result = run("--adapter", "software", *arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert word in result.stderr


@pytest.mark.parametrize(
    "arguments", [("--model", "huge"), ("--block-size", "24"), ("--family", "x"), ("--steps", "many")]
)
def test_usage_errors_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


def test_the_page_of_a_site_or_one_that_is_written(tmp_path: Path) -> None:
    notes: list[str] = []

    def write(folder: Path) -> None:
        (folder / "bench.html").write_text("made")

    site = tmp_path / "dist"
    with page_folder(site, write, notes.append) as folder:
        assert (folder / "bench.html").read_text() == "made"
    assert not folder.exists()
    assert len(notes) == 1
    site.mkdir()
    with pytest.raises(KleinbildError, match=r"has no bench\.html"), page_folder(site, write, notes.append):
        pass
    (site / "bench.html").write_text("site's")
    with page_folder(site, write, notes.append) as folder:
        assert folder == site
    assert len(notes) == 1


ROWS: list[dict[str, Any]] = [
    {"group": "peak", "name": "fma f16", "seconds": 0.004, "flops": 2.5e11, "tflops": 62.5},
    {
        "group": "kernel",
        "name": "to_q 768",
        "seconds": 0.00031,
        "flops": 1.45e10,
        "tflops": 46.8,
        "percent": 74.9,
    },
    {"group": "kernel", "name": "layer norm", "seconds": 1e-5, "bytes": 1e7, "gigabytesPerSecond": 1000.0},
    {
        "group": "picture",
        "name": "picture 512",
        "seconds": 1.2,
        "flops": 5e13,
        "tflops": 41.7,
        "percent": 66.7,
    },
    {"group": "memory", "name": "peak 512", "bytes": 4.4e9},
    {"group": "stage", "name": "VAE 1024", "error": "the GPU is\n out of memory\x1b[31m"},
]


def record(rows: object = ROWS, **changes: Any) -> dict[str, Any]:
    adapter = {"vendor": "nvidia", "architecture": "hopper", "description": ""}
    given = {
        "schema": 1,
        "kind": "kleinbild-bench",
        "precision": "f16",
        "machine": {"adapter": adapter, "browser": "Chromium 156"},
        "rows": rows,
    }
    return given | changes


def frame(**changes: Any) -> str:
    return json.dumps({"type": "result", "result": record(**changes)})


def test_the_table_shows_every_row_once_grouped() -> None:
    result = parse_frame(frame())
    assert isinstance(result, Result)
    assert result.record == record()
    lines = table_text(result).splitlines()
    assert lines[0] == "nvidia hopper, Chromium 156, f16"
    for row in ROWS[:-1]:
        assert sum(row["name"] in line for line in lines) == 1
    assert [line.split() for line in lines if line.startswith("  picture 512")] == [
        ["picture", "512", "1.20", "s", "41.7", "TFLOP/s", "66.7", "%"]
    ]
    assert [line.split() for line in lines if line.startswith("  layer norm")] == [
        ["layer", "norm", "10.0", "us", "1000", "GB/s"]
    ]
    assert len({len(line) for line in lines if line.endswith(" %")}) == 1  # columns stand under each other
    assert lines.index("Whole picture, warm") < lines.index("Stages") < lines.index("Kernels")
    assert lines[-2:] == ["Not measured", "  VAE 1024: the GPU is out of memory?[31m"]
    assert any(line.split() == ["VAE", "1024", "failed"] for line in lines)


def test_slow_rates_are_told_in_gflops() -> None:
    words = [flops_text(rate) for rate in (123.4, 0.5, 0.00046)]
    assert words == ["123 TFLOP/s", "0.500 TFLOP/s", "0.460 GFLOP/s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(123.4, "123 s"), (1.0, "1.00 s"), (0.0123, "12.3 ms"), (0.5, "500 ms"), (2.5e-6, "2.50 us")],
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_progress_and_errors_pass() -> None:
    assert parse_frame('{"type": "progress", "done": 3, "total": 9, "label": "fma\\nf32"}') == Progress(
        3, 9, "fma f32"
    )
    row = parse_frame(json.dumps({"type": "row", "row": ROWS[4]}))
    assert isinstance(row, Row)
    assert (row.group, row.name, row.bytes, row.seconds) == ("memory", "peak 512", 4.4e9, None)
    assert rows_text([row]) == "\nGPU memory\n  peak 512  4.40 GB\n"
    assert parse_frame('{"type": "error", "code": "no-adapter", "message": "none"}') == ErrorMessage(
        "no-adapter", "none"
    )


def row(**changes: Any) -> Callable[[], str]:
    return lambda: frame(rows=[ROWS[1] | changes])


@pytest.mark.parametrize(
    "make",
    [
        lambda: "no JSON",
        lambda: "[1]",
        lambda: "[" * 100_000,
        lambda: '{"type": "trace"}',
        lambda: '{"type": "result"}',
        lambda: '{"type": "row"}',
        lambda: '{"type": "progress", "done": -1, "total": 9, "label": ""}',
        lambda: '{"type": "progress", "done": 1, "total": true, "label": ""}',
        lambda: frame(schema=2),
        lambda: frame(kind="other"),
        lambda: frame(machine={}),
        lambda: frame(machine={"adapter": {"vendor": 1}, "browser": ""}),
        lambda: frame(rows={}),
        lambda: frame(rows=[ROWS[0]] * (MAX_ROWS + 1)),
        lambda: frame(rows=[3]),
        row(group="other"),
        row(name=None),
        row(seconds=-1),
        row(seconds="1"),
        row(flops=True),
        row(tflops=math.inf),
        row(percent=math.nan),
        row(error=["x"]),
    ],
)
def test_anything_else_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(ProtocolError):
        parse_frame(make())


def test_long_words_are_cut() -> None:
    result = parse_frame(frame(rows=[ROWS[0] | {"detail": "x" * 10_000}]))
    assert isinstance(result, Result)
    assert len(result.rows[0].detail) == MAX_TEXT_CHARS


def test_the_driver_is_told_where_the_system_names_it(tmp_path: Path) -> None:
    version = tmp_path / "version"
    assert host_facts(version)["driver"] == ""
    version.write_bytes(b"NVRM version:  NVIDIA 580.1\xff\nGCC\n")
    assert host_facts(version)["driver"] == "NVRM version: NVIDIA 580.1\ufffd"
