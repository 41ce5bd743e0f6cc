"""Progress: what a terminal and what a log gets to see, and that nothing about it can end a job."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from kleinbild.progress import CLEAR_LINE, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(Terminal):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


GB = 1_000_000_000


def test_a_terminal_has_one_line_that_is_redrawn() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(8 * GB, "exporting", stream, clock=clock) as progress:
        for _ in range(12):
            clock.now += 1
            progress.advance(GB // 10)
        progress.advance(GB // 10)  # too soon after the last to be drawn
    lines = stream.getvalue().split(CLEAR_LINE)
    assert len(lines) == 1 + 12 + 1
    assert lines[12] == "exporting   15 %  1.2 of 8.0 GB  100 MB/s  1:08 left"
    assert lines[13] == "exporting  1.3 GB in 0:12  108 MB/s\n"
    assert "\n" not in "".join(lines[:13])


def test_a_log_has_a_line_every_ten_seconds_and_one_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(50_000_000, "packaging", stream, clock=clock) as progress:
        for i in range(50):
            clock.now += 0.5
            progress.advance(1_000_000, f"shard {i}")
    assert stream.getvalue().splitlines() == [
        "packaging   40 %  20 of 50 MB  2.0 MB/s  0:15 left  shard 19",
        "packaging   80 %  40 of 50 MB  2.0 MB/s  0:05 left  shard 39",
        "packaging  50 MB in 0:25  2.0 MB/s",
    ]


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(10 * GB, "exporting", stream, clock=clock)
    progress.advance(5 * GB)  # reused
    for _ in range(40):
        clock.now += 1
        progress.advance(1_000_000)
    assert stream.getvalue().splitlines()[-1].split("  ")[3:] == ["1.0 MB/s", "1:22:40 left"]


def test_a_job_that_stands_still_has_no_time_left() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(10 * GB, "exporting", stream, clock=clock)
    clock.now += 100
    progress.advance(1000)
    assert stream.getvalue() == "exporting    0 %  0.0 of 10.0 GB  0.0 KB/s\n"


def test_a_terminal_can_be_cleared_for_something_else() -> None:
    clock, terminal, log = Clock(), Terminal(), io.StringIO()
    for stream in (terminal, log):
        progress = Progress(10, "exporting", stream, clock=clock)
        clock.now += 1
        progress.advance(1)
        progress.clear()
    assert terminal.getvalue().endswith(CLEAR_LINE)
    assert log.getvalue() == ""


def test_an_unknown_total_has_neither_percent_nor_time_left() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(0, "fetching", stream, clock=clock)
    clock.now += 10
    progress.advance(20_000)
    assert stream.getvalue() == "fetching  20 KB  2.0 KB/s\n"


def test_more_than_the_total_is_no_more_than_all() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(1000, "fetching", stream, clock=clock)
    clock.now += 10
    progress.advance(3000)
    assert stream.getvalue().startswith("fetching  100 %  3.0 of 1.0 KB")
    assert "left" not in stream.getvalue()


def test_a_failed_job_leaves_no_line_behind() -> None:
    clock, terminal, log = Clock(), Terminal(), io.StringIO()
    for stream in (terminal, log):
        with pytest.raises(KeyError), Progress(10, "exporting", stream, clock=clock) as progress:
            clock.now += 1
            progress.advance(1)
            raise KeyError
        progress.advance(1)
    assert terminal.getvalue().endswith(CLEAR_LINE)
    assert log.getvalue() == ""


def test_a_stream_that_is_closed_or_broken_ends_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, Broken()):
        clock = Clock()
        with Progress(10, "exporting", stream, clock=clock) as progress:
            clock.now += 60
            progress.advance(5)


def test_threads_lose_no_byte() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(8_000, "packaging", stream, clock=clock) as progress:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(progress.advance, [1] * 8_000))
        clock.now += 1
    assert stream.getvalue() == "packaging  8.0 KB in 0:01  8.0 KB/s\n"
